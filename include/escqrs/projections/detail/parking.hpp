// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/identifiers.hpp>
#include <escqrs/projections/parking_lot.hpp>
#include <escqrs/store/event_store.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// How a projection parks the events that it cannot handle. In all that follows, `handle(event, is_replay)` decodes an
// event and calls its handler.
namespace escqrs::inline v0::detail {

/// Handles an event; what the handlers wrote is undone if they fail.
/// @return the text of the failure, if the event caused it
template <ParkingLot Parking, class Handle>
std::optional<std::string> error_of_attempt(Parking& parking, const RecordedEvent& event, bool is_replay,
                                            Handle& handle)
{
    try {
        parking.attempt([&] { handle(event, is_replay); });
        return std::nullopt;
    } catch (...) {
        return problem_of_event([&](const std::exception& error) { return parking.is_passing(error); });
    }
}

/// Whether the event has never been handled, not even before the read model was last rebuilt.
inline bool was_never_handled(const ParkedStream& parked, const RecordedEvent& event) noexcept
{
    return parked.unhandled_from != StreamVersion{} && event.version >= parked.unhandled_from;
}

/// Handles the events of one page of the log, or parks them. Lives within the page's transaction.
template <class Parking>
class PageHandling {
public:
    /// @param is_beside  whether the read model is built next to another version, which runs
    PageHandling(Parking* parking, bool is_beside)
        : parking_{parking}, some_are_parked_{!parking->is_empty()}, is_beside_{is_beside}
    {
    }

    /// @param was_handled  before the read model was last rebuilt
    template <class Handle>
    void show(const RecordedEvent& event, bool was_handled, Handle handle);

private:
    void park(const RecordedEvent& event, bool is_replay, std::optional<ParkedStream> parked,
              std::optional<std::string> error);

    Parking* parking_;
    bool some_are_parked_;
    bool is_beside_;
};

template <>
class PageHandling<NoParkingLot> {
public:
    PageHandling(NoParkingLot* /*parking*/, bool /*is_beside*/) noexcept {}

    template <class Handle>
    void show(const RecordedEvent& event, bool was_handled, Handle handle)
    {
        handle(event, was_handled);
    }
};

template <class Parking>
template <class Handle>
void PageHandling<Parking>::show(const RecordedEvent& event, bool was_handled, Handle handle)
{
    auto parked = some_are_parked_ ? parking_->find(event.stream) : std::nullopt;
    const bool never_handled = parked && was_never_handled(*parked, event);
    const bool is_replay = was_handled && !never_handled;
    if (parked && parked->is_parked()) return park(event, is_replay, std::move(parked), std::nullopt);
    if (is_beside_ && never_handled) { // the version that runs has parked it
        std::string error = parked->error;
        return park(event, is_replay, std::move(parked), std::move(error));
    }
    if (auto error = error_of_attempt(*parking_, event, is_replay, handle))
        return park(event, is_replay, std::move(parked), std::move(error));
    if (!parked) return;
    // Left over from before a restart. After the events that were handled then, nothing needs to be remembered.
    if (!was_handled) return parking_->remove(event.stream);
    if (!never_handled) return;
    parked->unhandled_from = event.version.next();
    parking_->put(*parked);
}

template <class Parking>
void PageHandling<Parking>::park(const RecordedEvent& event, bool is_replay, std::optional<ParkedStream> parked,
                                 std::optional<std::string> error)
{
    if (!parked) parked.emplace(ParkedStream{.stream = event.stream});
    if (error) {
        parked->version = event.version;
        parked->position = event.position;
        parked->error = *std::move(error);
    }
    if (event.version > parked->last) { // else it comes again, from a page that could not be rolled back
        parked->last = event.version;
        ++parked->events;
    }
    if (!is_replay && parked->unhandled_from == StreamVersion{}) parked->unhandled_from = event.version;
    parking_->put(*parked);
    some_are_parked_ = true;
}

/// Handles parked events of one stream again, a page of them. Lives within the page's transaction.
template <ParkingLot Parking>
class ParkedReplay {
public:
    ParkedReplay(Parking& parking, ParkedStream parked, std::size_t page_size)
        : parking_{&parking}, parked_{std::move(parked)}, page_size_{page_size}
    {
    }

    /// @return whether to continue with the next event of the stream
    template <class Handle>
    bool show(const RecordedEvent& event, bool was_handled, Handle handle);

    /// Keeps what is still parked.
    /// @param is_rebuilding  then events after the parked ones may have to be shown as new
    void save(bool is_rebuilding);

    /// Whether there is more to try.
    bool is_page_full() const noexcept { return is_page_full_; }

private:
    Parking* parking_;
    ParkedStream parked_;
    std::size_t page_size_;
    std::uint64_t handled_ = 0;
    std::uint64_t left_ = 0; ///< from the one that failed on
    bool is_page_full_ = false;
};

template <ParkingLot Parking>
template <class Handle>
bool ParkedReplay<Parking>::show(const RecordedEvent& event, bool was_handled, Handle handle)
{
    if (left_ != 0) {
        parked_.last = event.version;
        ++left_;
        return true;
    }
    parked_.version = event.version;
    parked_.position = event.position;
    is_page_full_ = handled_ == page_size_;
    if (is_page_full_) return false;
    const bool never_handled = was_never_handled(parked_, event);
    if (auto error = error_of_attempt(*parking_, event, was_handled && !never_handled, handle)) {
        parked_.error = *std::move(error);
        parked_.last = event.version;
        left_ = 1;
        return true;
    }
    ++handled_;
    if (never_handled) parked_.unhandled_from = event.version.next();
    return true;
}

template <ParkingLot Parking>
void ParkedReplay<Parking>::save(bool is_rebuilding)
{
    const bool is_free = left_ == 0 && !is_page_full_;
    if (is_free) parked_.unpark();
    else if (is_page_full_) parked_.events = parked_.events > handled_ ? parked_.events - handled_ : 1;
    else parked_.events = left_;
    const bool is_remembered = is_rebuilding && parked_.unhandled_from != StreamVersion{};
    if (is_free && !is_remembered) parking_->remove(parked_.stream);
    else parking_->put(parked_);
}

/// Forgets what is parked, for a read model that begins anew, but for the events that have never been handled.
template <ParkingLot Parking>
void unpark_all(Parking& parking)
{
    for (ParkedStream& parked : parking.all()) {
        parking.remove(parked.stream);
        if (parked.unhandled_from == StreamVersion{}) continue;
        parked.unpark();
        parking.put(parked);
    }
}

} // namespace escqrs::inline v0::detail
