// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "relay_place.hpp"

#include <escqrs/postgres/checkpoint.hpp>
#include <escqrs/postgres/connection.hpp>
#include <escqrs/postgres/lease.hpp>
#include <escqrs/postgres/parking_lot.hpp>
#include <escqrs/sqlite/checkpoint.hpp>
#include <escqrs/sqlite/parking_lot.hpp>

#include <string>
#include <utility>

namespace conference {
namespace {

/// A place whose parked streams are in a lot of the library's.
template <class Lot>
class PlaceWithLot : public RelayPlace {
public:
    bool is_empty() override { return lot().is_empty(); }
    std::optional<escqrs::ParkedStream> find(const escqrs::StreamId& stream) override { return lot().find(stream); }
    std::vector<escqrs::ParkedStream> all() override { return lot().all(); }
    void put(const escqrs::ParkedStream& parked) override { lot().put(parked); }
    void remove(const escqrs::StreamId& stream) override { lot().remove(stream); }

private:
    virtual Lot& lot() = 0;
};

/// Not forced to disk: what a power cut takes back of it is sent again. The queue drops that by its message ids, within its
/// window, and the worker by the versions it has seen.
class FilePlace : public PlaceWithLot<escqrs::sqlite::ParkingLot> {
public:
    explicit FilePlace(const Settings& settings)
        : database_{settings.store.scheme == "memory" ? ":memory:" : relay_place_file(settings),
                    {escqrs::sqlite::Synchronous::normal}}
    {
    }

private:
    escqrs::Bookmark do_load() override { return checkpoint_.bookmark(); }
    void do_save(const escqrs::Bookmark& mark) override { checkpoint_.save_bookmark(mark); }
    escqrs::sqlite::ParkingLot& lot() override { return lot_; }

    escqrs::sqlite::Database database_;
    escqrs::sqlite::Checkpoint checkpoint_{database_, "relay"};
    escqrs::sqlite::ParkingLot lot_{database_, "relay"};
};

/// Who relays holds a lease, and renews it with each look at the place. It runs out by the server's clock when that process
/// dies, is cut off, or is paused; then another takes it, and the place is closed to the old one.
class SharedPlace : public PlaceWithLot<escqrs::postgres::ParkingLot> {
public:
    explicit SharedPlace(const std::string& address) : connection_{address} {}

    ~SharedPlace() override
    {
        try {
            lease_.release();
        } catch (...) { // NOLINT(bugprone-empty-catch): it runs out by itself
        }
    }

    void put(const escqrs::ParkedStream& parked) override
    {
        change([&] { lot_.put(parked); });
    }

    void remove(const escqrs::StreamId& stream) override
    {
        change([&] { lot_.remove(stream); });
    }

private:
    escqrs::postgres::ParkingLot& lot() override { return lot_; }

    /// In a transaction that only the process that relays can commit.
    template <class Change>
    void change(Change make_change)
    {
        try {
            auto transaction = checkpoint_.begin();
            make_change();
            transaction.commit_bookmark(transaction.bookmark());
        } catch (const escqrs::postgres::LeaseLost& error) {
            throw RelayedElsewhere{error.what()};
        }
    }

    escqrs::Bookmark do_load() override
    {
        if (lease_.acquire()) return checkpoint_.bookmark();
        show(checkpoint_.load());
        throw RelayedElsewhere{"relayed by another process"};
    }

    void do_save(const escqrs::Bookmark& mark) override
    {
        try {
            checkpoint_.save_bookmark(mark);
        } catch (const escqrs::postgres::LeaseLost& error) {
            throw RelayedElsewhere{error.what()};
        }
        (void)lease_.acquire(); // renewed while there is much to relay; if it is lost, the next save tells
    }

    escqrs::postgres::Connection connection_;
    escqrs::postgres::Lease lease_{connection_, "conference-relay", {.schema = "conference"}};
    escqrs::postgres::Checkpoint checkpoint_{connection_, "conference-relay", lease_};
    escqrs::postgres::ParkingLot lot_{connection_, "conference-relay", "conference"};
};

} // namespace

escqrs::Bookmark RelayPlace::bookmark()
{
    const auto mark = do_load();
    show(mark.position);
    return mark;
}

void RelayPlace::save_bookmark(const escqrs::Bookmark& mark)
{
    do_save(mark);
    show(mark.position);
}

std::string relay_place_file(const Settings& settings) { return settings.store.rest + "-relay"; }

std::unique_ptr<RelayPlace> open_relay_place(const Settings& settings)
{
    if (settings.store.scheme == "postgres") return std::make_unique<SharedPlace>(settings.store.rest);
    return std::make_unique<FilePlace>(settings);
}

} // namespace conference
