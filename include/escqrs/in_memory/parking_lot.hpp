// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/projections/parking_lot.hpp>

#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

namespace escqrs::inline v0::in_memory {

/// Remembers parked streams as long as the program runs, for read models that live as long.
///
/// Memory has nothing to roll back: a handler that throws should have changed nothing.
/// @par Thread safety  every operation may be called from any thread
class ParkingLot {
public:
    /// As `ParkedStreams` and `ParkingLot` describe it.
    /// @{
    bool is_empty() const
    {
        const std::scoped_lock lock{mutex_};
        return streams_.empty();
    }

    std::optional<ParkedStream> find(const StreamId& stream) const
    {
        const std::scoped_lock lock{mutex_};
        const auto found = streams_.find(stream);
        if (found == streams_.end()) return std::nullopt;
        return found->second;
    }

    std::vector<ParkedStream> all() const
    {
        const std::scoped_lock lock{mutex_};
        std::vector<ParkedStream> all;
        all.reserve(streams_.size());
        for (const auto& [stream, parked] : streams_) all.push_back(parked);
        return all;
    }

    void put(const ParkedStream& parked)
    {
        const std::scoped_lock lock{mutex_};
        streams_.insert_or_assign(parked.stream, parked);
    }

    void remove(const StreamId& stream)
    {
        const std::scoped_lock lock{mutex_};
        streams_.erase(stream);
    }

    template <class Work>
    void attempt(Work&& work)
    {
        work();
    }

    static bool is_passing(const std::exception& error) noexcept { return is_passing_fault(error); }
    /// @}

private:
    mutable std::mutex mutex_;
    std::map<StreamId, ParkedStream> streams_;
};

static_assert(escqrs::ParkingLot<ParkingLot>);

} // namespace escqrs::inline v0::in_memory
