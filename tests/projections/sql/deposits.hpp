// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// A read model for the tests of this folder: each deposit of an account, once. ESCQRS_READ_SIDE names the header that says what
// there is to know of the database that they run on.
#pragma once

#include <escqrs/commands/repository.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/projections/projection.hpp>

#include ESCQRS_READ_SIDE
#include "support/account.hpp"

#include <functional>
#include <stdexcept>
#include <string>

namespace read_side {

inline std::int64_t number(Dialect::Database& database, const std::string& sql)
{
    Dialect::Statement select{database, sql};
    auto rows = select.query();
    return rows.next() ? rows.integer(0) : -1;
}

struct Deposits {
    using Events = escqrs::EventList<account::AccountOpened, account::MoneyDeposited>;

    Deposits(Dialect::Database& database, const Place& place)
        : insert{database, place.sql("INSERT INTO {s}.deposits VALUES ($1)")}
    {
    }
    void handle(const account::AccountOpened&, const escqrs::EventContext&) {}
    void handle(const account::MoneyDeposited& event, const escqrs::EventContext&)
    {
        if (before) before(event.cents);
        insert.run(event.cents);
        if (event.cents == refused) throw std::runtime_error{"cannot count it"};
        if (event.cents == full) throw full_disk();
    }
    void clear() {}

    Dialect::Statement insert;
    std::function<void(std::int64_t)> before;
    std::int64_t refused = 0;
    std::int64_t full = 0;
};

/// Where there is a table for them.
struct Model {
    Model() { database.execute(place.sql("CREATE TABLE {s}.deposits (cents bigint NOT NULL CHECK (cents <> 777))")); }

    std::int64_t count() { return number(database, place.sql("SELECT count(*) FROM {s}.deposits")); }
    std::int64_t sum()
    {
        return number(database, place.sql("SELECT CAST(coalesce(sum(cents), 0) AS bigint) FROM {s}.deposits"));
    }

    Place place;
    Dialect::Database database{place.connect()};
};

inline void deposit(escqrs::in_memory::EventStore& store, std::int64_t deposits)
{
    const escqrs::Repository<account::Account, escqrs::in_memory::EventStore> accounts{store};
    auto account = account::Account::open(account::Account::Id{escqrs::random_uuid()}, "Ada");
    for (std::int64_t cents = 1; cents <= deposits; ++cents) account.deposit(cents);
    accounts.save(account);
}

} // namespace read_side
