// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// A read model with versions for the tests of this folder: the balance of each account.
#pragma once

#include <escqrs/commands/repository.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/projections/projection.hpp>

#include ESCQRS_READ_SIDE
#include "support/account.hpp"

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace read_side {

using Store = escqrs::in_memory::EventStore;

/// The sum of each account in `factor` cents, and how many events were handled in all.
inline escqrs::ReadModelSchema balances_schema(unsigned version)
{
    return {
        .name = "balances",
        .version = version,
        .tables = {"account", "balance"},
        .sql = Place::model_sql(
            "CREATE TABLE {s}.account{v} (stream text PRIMARY KEY);"
            "CREATE TABLE {s}.balance{v} (stream text PRIMARY KEY REFERENCES {s}.account{v}, cents bigint NOT NULL);"
            "CREATE INDEX balance_by_cents{v} ON {s}.balance{v} (cents);")};
}

struct Balances {
    using Events = escqrs::EventList<account::AccountOpened, account::MoneyDeposited>;

    Balances(Dialect::Database& in, const ReadModel& of, std::vector<std::int64_t>& outside)
        : database{&in}, model{&of}, mails{&outside}, factor{of.version()}
    {
    }

    void handle(const account::AccountOpened&, const escqrs::EventContext& context)
    {
        insert_account.run(context.stream.text());
        insert.run(context.stream.text());
    }
    void handle(const account::MoneyDeposited& event, const escqrs::EventContext& context)
    {
        if (event.cents == refused) throw std::runtime_error{"cannot count it"};
        add.run(event.cents * factor, context.stream.text());
        if (!context.is_replay) mails->push_back(event.cents);
    }
    void clear()
    {
        clear_balances.run();
        clear_accounts.run();
    }

    Dialect::Statement statement(const char* sql) const { return {*database, model->sql(Place::model_sql(sql))}; }

    Dialect::Database* database;
    const ReadModel* model;
    std::vector<std::int64_t>* mails; ///< effects outside
    std::int64_t factor;
    std::int64_t refused = 0;
    Dialect::Statement insert_account{statement("INSERT INTO {s}.account{v} VALUES ($1)")};
    Dialect::Statement insert{statement("INSERT INTO {s}.balance{v} VALUES ($1, 0)")};
    Dialect::Statement add{statement("UPDATE {s}.balance{v} SET cents = cents + $1 WHERE stream = $2")};
    Dialect::Statement clear_balances{statement("DELETE FROM {s}.balance{v}")};
    Dialect::Statement clear_accounts{statement("DELETE FROM {s}.account{v}")};
};

/// One program that builds a version of the read model, with its own connection.
struct Builder {
    Builder(Store& store, const Place& place, unsigned version, std::vector<std::int64_t>& mails,
            std::size_t page_size = 2)
        : database{place.connect()}, model{database, balances_schema(version), place.where()},
          balances{database, model, mails}, projection{store, model, balances, {.page_size = page_size}}
    {
    }

    Dialect::Database database;
    ReadModel model;
    Balances balances;
    escqrs::Projection<Store, ReadModel, Balances> projection;
};

struct Reader {
    explicit Reader(const Place& in) : place{&in} {}

    std::int64_t number(const std::string& sql)
    {
        Dialect::Statement select{database, place->sql(sql)};
        auto rows = select.query();
        return rows.next() ? rows.integer(0) : -1;
    }

    /// Rows of one of the library's tables.
    std::int64_t count_in(const std::string& table)
    {
        const Dialect dialect{database, place->where()};
        auto select = escqrs::sql::statement(dialect, "SELECT count(*) FROM {s}." + table);
        auto rows = select.query();
        return rows.next() ? rows.integer(0) : -1;
    }

    const Place* place;
    Dialect::Database database{place->connect()};
};

inline void deposit(Store& store, account::Account& account, std::int64_t cents)
{
    account.deposit(cents);
    const escqrs::Repository<account::Account, Store> accounts{store};
    accounts.save(account);
}

} // namespace read_side
