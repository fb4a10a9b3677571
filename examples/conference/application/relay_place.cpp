// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "relay_place.hpp"

#include <escqrs/postgres/checkpoint.hpp>
#include <escqrs/postgres/connection.hpp>
#include <escqrs/postgres/lease.hpp>
#include <escqrs/sqlite/checkpoint.hpp>

#include <exception>
#include <string>

namespace conference {
namespace {

/// Not forced to disk: what a power cut takes back of it is sent again. The queue drops that by its message ids, within its
/// window, and the worker by the versions it has seen.
class FilePlace : public RelayPlace {
public:
    explicit FilePlace(const Settings& settings) : database_{path(settings), {escqrs::sqlite::Synchronous::normal}} {}

private:
    static std::string path(const Settings& settings)
    {
        return settings.store.scheme == "memory" ? ":memory:" : settings.store.rest + "-relay";
    }

    escqrs::GlobalPosition do_load() override { return checkpoint_.load(); }
    void do_save(escqrs::GlobalPosition position) override { checkpoint_.save(position); }

    escqrs::sqlite::Database database_;
    escqrs::sqlite::Checkpoint checkpoint_{database_, "relay"};
};

/// Who relays holds a lease, and renews it with each look at the place. It runs out by the server's clock when that process
/// dies, is cut off, or is paused; then another takes it, and the place is closed to the old one.
class SharedPlace : public RelayPlace {
public:
    explicit SharedPlace(const std::string& address) : connection_{address} {}

    ~SharedPlace() override
    {
        try {
            lease_.release();
        } catch (const std::exception&) { // NOLINT(bugprone-empty-catch): it runs out by itself
        }
    }

private:
    escqrs::GlobalPosition do_load() override
    {
        if (lease_.acquire()) return checkpoint_.load();
        show(checkpoint_.load());
        throw RelayedElsewhere{"relayed by another process"};
    }

    void do_save(escqrs::GlobalPosition position) override
    {
        try {
            checkpoint_.save(position);
        } catch (const escqrs::postgres::LeaseLost& error) {
            throw RelayedElsewhere{error.what()};
        }
        (void)lease_.acquire(); // renewed while there is much to relay; if it is lost, the next save tells
    }

    escqrs::postgres::Connection connection_;
    escqrs::postgres::Lease lease_{connection_, "conference-relay", {.schema = "conference"}};
    escqrs::postgres::Checkpoint checkpoint_{connection_, "conference-relay", lease_};
};

} // namespace

escqrs::GlobalPosition RelayPlace::load()
{
    const auto position = do_load();
    show(position);
    return position;
}

void RelayPlace::save(escqrs::GlobalPosition position)
{
    do_save(position);
    show(position);
}

std::unique_ptr<RelayPlace> open_relay_place(const Settings& settings)
{
    if (settings.store.scheme == "postgres") return std::make_unique<SharedPlace>(settings.store.rest);
    return std::make_unique<FilePlace>(settings);
}

} // namespace conference
