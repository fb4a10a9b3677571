// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "settings.hpp"

#include <escqrs/core/bookmark.hpp>
#include <escqrs/core/error.hpp>
#include <escqrs/core/identifiers.hpp>
#include <escqrs/projections/parking_lot.hpp>
#include <escqrs/store/any_event_store.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace conference {

/// Another process is relaying: this one stands by.
class RelayedElsewhere : public escqrs::StoreError {
public:
    using StoreError::StoreError;
};

/// How far the relay has come, and which streams it has parked: a checkpoint and a parking lot next to the event store.
/// @par Thread safety  none but for `position`
class RelayPlace {
public:
    virtual ~RelayPlace() = default;

    /// @throws RelayedElsewhere if many processes share the place, and another of them is the one that relays
    escqrs::Bookmark bookmark();
    escqrs::GlobalPosition load() { return bookmark().position; }

    /// @throws RelayedElsewhere if another may have become the one that relays since; nothing is saved then
    void save_bookmark(const escqrs::Bookmark& mark);
    void save(escqrs::GlobalPosition position) { save_bookmark({position}); }

    static constexpr const char* name() noexcept { return "relay"; }

    /// To be called by the process that relays, before it begins and at the end of the log: counts the log's holes up
    /// to the place, unless they are known. A stopped call keeps its count, and the next call continues it.
    virtual void count_holes(escqrs::AnyEventStore& /*store*/, const std::stop_token& /*stop*/) {}

    /// To be called with the position of each event that is read, also again.
    virtual void pass(escqrs::GlobalPosition /*position*/) noexcept {}

    /// Positions up to the place at which the log has no event: those of appends that a server has drawn and given up.
    /// Any thread.
    std::uint64_t holes() const noexcept { return holes_.load(std::memory_order_relaxed); }

    // What escqrs::ParkedStreams asks for; `put` and `remove` throw RelayedElsewhere like `save`.
    virtual bool is_empty() = 0;
    virtual std::optional<escqrs::ParkedStream> find(const escqrs::StreamId& stream) = 0;
    virtual std::vector<escqrs::ParkedStream> all() = 0;
    virtual void put(const escqrs::ParkedStream& parked) = 0;
    virtual void remove(const escqrs::StreamId& stream) = 0;

    /// The position as last loaded or saved here, by whatever process. Any thread.
    escqrs::GlobalPosition position() const noexcept
    {
        return escqrs::GlobalPosition{position_.load(std::memory_order_relaxed)};
    }

protected:
    void show(escqrs::GlobalPosition position) noexcept
    {
        position_.store(position.value(), std::memory_order_relaxed);
    }
    void show_holes(std::uint64_t holes) noexcept { holes_.store(holes, std::memory_order_relaxed); }

private:
    virtual escqrs::Bookmark do_load() = 0;
    virtual void do_save(const escqrs::Bookmark& mark) = 0;

    std::atomic<std::uint64_t> position_{0};
    std::atomic<std::uint64_t> holes_{0}; ///< an SQLite file's log has none
};

static_assert(escqrs::ParkedStreams<RelayPlace>);

/// The place that goes with the store that the settings name: a separate file next to an SQLite store, so that the
/// relay never waits for the store's writers; a table in a PostgreSQL database. There, one of all processes is the one
/// that relays: another takes over within seconds when that one dies, loses its connection, or is stopped in its
/// tracks.
/// @param give_up  as for `open_event_store`
/// @throws escqrs::StoreError
std::unique_ptr<RelayPlace> open_relay_place(const Settings& settings, std::stop_token give_up = {});

/// The file of that place, if the store is an SQLite file.
std::string relay_place_file(const Settings& settings);

} // namespace conference
