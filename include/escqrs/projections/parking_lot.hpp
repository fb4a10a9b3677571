// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/error.hpp>
#include <escqrs/core/identifiers.hpp>

#include <concepts>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <vector>

namespace escqrs::inline v0 {

/// A stream whose events a projection, or a relay, has parked: one that it could not handle, or send, and the later
/// ones.
///
/// The events themselves stay in the store; this keeps only where they begin and end.
struct ParkedStream {
    StreamId stream;           ///< whose events are parked
    StreamVersion version{};   ///< of the event that could not be handled
    GlobalPosition position{}; ///< of that event
    /// Of the last event parked; 0: none is any more, and only `unhandled_from` is remembered.
    StreamVersion last{};
    std::uint64_t events = 0; ///< how many are parked, for people
    std::string error{};      ///< why the first one could not be handled

    /// Events from this version on have never been handled, not even before the read model was last rebuilt; 0 if all
    /// have.
    StreamVersion unhandled_from{};

    bool is_parked() const noexcept { return last != StreamVersion{}; } ///< events of the stream wait

    /// After this nothing is parked; `unhandled_from` is still remembered.
    void unpark() noexcept
    {
        last = {};
        events = 0;
    }

    friend bool operator==(const ParkedStream&, const ParkedStream&) = default;
};

/// A relay cannot send an event, so it has parked the stream from that event on.
class ESCQRS_EXPORT StreamParked : public Error {
public:
    explicit StreamParked(const ParkedStream& parked)
        : Error{"stream '" + parked.stream.text() + "' is parked from event version " +
                std::to_string(parked.version.value()) + " at position " + std::to_string(parked.position.value()) +
                " on, which cannot be sent: " + parked.error},
          stream_{parked.stream}, version_{parked.version}, position_{parked.position}
    {
    }

    const StreamId& stream() const noexcept { return stream_; }    ///< that was parked
    StreamVersion version() const noexcept { return version_; }    ///< of the first parked event
    GlobalPosition position() const noexcept { return position_; } ///< of that event

private:
    StreamId stream_;
    StreamVersion version_;
    GlobalPosition position_;
};

/// Keeps the streams that a relay has parked.
///
/// - `is_empty()`, `find(stream)`, `all()` show what is there; `all` in order of the streams' names;
/// - `put(parked)` adds a stream or replaces what is there; `remove(stream)` forgets it.
template <class Parking>
concept ParkedStreams = requires(Parking& parking, const StreamId& stream, const ParkedStream& parked) {
    { parking.is_empty() } -> std::same_as<bool>;
    { parking.find(stream) } -> std::same_as<std::optional<ParkedStream>>;
    { parking.all() } -> std::same_as<std::vector<ParkedStream>>;
    { parking.put(parked) } -> std::same_as<void>;
    { parking.remove(stream) } -> std::same_as<void>;
};

/// Keeps the streams that a projection has parked: in one transaction with its checkpoint, where there are
/// transactions.
///
/// - `attempt(work)` calls `work()`; if that throws, what it wrote to the read model is undone, and the exception
///   passes;
/// - `is_passing(error)` returns whether a failure says nothing about the event, which must then be tried again later.
template <class Parking>
concept ParkingLot = ParkedStreams<Parking> && requires(Parking& parking, const std::exception& error) {
    {
        parking.attempt([] {})
    } -> std::same_as<void>;
    { parking.is_passing(error) } -> std::same_as<bool>;
};

/// For a projection that parks nothing, so that an event that it cannot handle stops it; and for a relay that keeps its
/// parked streams in memory.
struct NoParkingLot {};

/// Whether a failure says nothing about the event: a store or broker that cannot work, a conflict, a stop, or no
/// memory.
inline bool is_passing_fault(const std::exception& error) noexcept { return classify(error) != FailureKind::refused; }

namespace detail {

/// Call it while an exception is being handled that an event may have caused.
/// @return its text; rethrows it if `is_passing` says that the event is not the cause
template <class IsPassing>
std::string problem_of_event(IsPassing is_passing)
{
    const auto problem = [&](const std::exception& error) -> std::string {
        if (is_passing(error)) throw;
        return error.what();
    };
    try {
        throw;
    } catch (const std::exception& error) {
        return problem(error);
    } catch (...) {
        return problem(Error{text_of(std::current_exception())});
    }
}

} // namespace detail

} // namespace escqrs::inline v0
