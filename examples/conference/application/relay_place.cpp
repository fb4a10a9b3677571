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

    escqrs::Bookmark do_load() override { return checkpoint_.bookmark(); }
    void do_save(const escqrs::Bookmark& mark) override { checkpoint_.save_bookmark(mark); }

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

std::unique_ptr<RelayPlace> open_relay_place(const Settings& settings)
{
    if (settings.store.scheme == "postgres") return std::make_unique<SharedPlace>(settings.store.rest);
    return std::make_unique<FilePlace>(settings);
}

} // namespace conference
