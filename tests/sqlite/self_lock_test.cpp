// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// A thread that would wait for its own lock gets an error at once: the usual case is a projection whose handlers append
// to an event store in the file of the read model.
#include "support/account.hpp"
#include "support/temporary_folder.hpp"

#include <escqrs/commands/repository.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/projections/projection.hpp>
#include <escqrs/sqlite/checkpoint.hpp>
#include <escqrs/sqlite/event_store.hpp>
#include <escqrs/sqlite/message_queue.hpp>
#include <escqrs/sqlite/parking_lot.hpp>
#include <escqrs/testing/catch2.hpp>

#include <filesystem>
#include <thread>

using namespace escqrs;
using namespace account;
using Catch::Contains;

namespace {

using Accounts = Repository<Account, sqlite::EventStore>;

constexpr const char* sentence = "this thread has a transaction open on the file already, and would wait for itself";

/// Gives every new account a first deposit.
struct Welcome {
    using Events = EventList<AccountOpened>;

    void handle(const AccountOpened&, const EventContext& context)
    {
        accounts.execute(Account::Id::parse(context.stream.id()), [](Account& account) { account.deposit(1); });
    }
    void clear() {}

    const Accounts& accounts;
};

Account::Id open_account(const Accounts& accounts)
{
    Account account = Account::open(Account::Id{random_uuid()}, "Ada");
    accounts.save(account);
    return account.id();
}

} // namespace

TEST_CASE("a projection whose handlers append to the file of its read model fails at once", "[sqlite]")
{
    const TemporaryFolder folder;
    sqlite::EventStore store{folder.file("one.db")};
    const Accounts accounts{store};
    const auto id = open_account(accounts);
    std::filesystem::create_symlink(folder.file("one.db"), folder.file("another name.db"));
    sqlite::Database database{folder.file("another name.db")};
    sqlite::Checkpoint place{database, "welcome"};
    Welcome welcome{accounts};

    Projection projection{store, place, welcome};
    CHECK_THROWS_WITH(projection.catch_up(), Contains(sentence));
    CHECK(accounts.get(id).balance() == 0);

    sqlite::ParkingLot lot{database, "welcome"};
    Projection parking{store, place, lot, welcome};
    parking.catch_up(); // an error of the event, not one that passes
    REQUIRE(parking.parked().size() == 1);
    CHECK_THAT(parking.parked().front().error, Contains(sentence));
}

TEST_CASE("a projection whose handlers append to another file works", "[sqlite]")
{
    const TemporaryFolder folder;
    sqlite::EventStore store{folder.file("events.db")};
    const Accounts accounts{store};
    const auto id = open_account(accounts);
    sqlite::Database database{folder.file("model.db")};
    sqlite::Checkpoint place{database, "welcome"};
    Welcome welcome{accounts};
    Projection projection{store, place, welcome};
    projection.catch_up();
    CHECK(accounts.get(id).balance() == 1);
}

TEST_CASE("a second transaction of a thread on one file fails at once, one of another thread waits", "[sqlite]")
{
    const TemporaryFolder folder;
    sqlite::Database first{folder.file("one.db")};
    sqlite::Database second{folder.file("one.db")};
    first.execute("CREATE TABLE numbers (number INTEGER)");
    escqrs::jthread other;
    {
        sqlite::Transaction transaction{first};
        CHECK_THROWS_WITH(sqlite::Transaction{second}, Contains(sentence));
        CHECK_THROWS_AS(sqlite::Transaction{first}, sqlite::DatabaseError); // as SQLite says it
        other = escqrs::jthread{[&] {
            sqlite::Transaction waiting{second};
            second.execute("INSERT INTO numbers VALUES (2)");
            waiting.commit();
        }};
        first.execute("INSERT INTO numbers VALUES (1)");
        transaction.commit();
        other.join(); // though `transaction` is still in scope
    }
    sqlite::Transaction again{second};
    CHECK(second.query_integer("SELECT count(*) FROM numbers") == 2);
}

TEST_CASE("a transaction may end on another thread than it began on", "[sqlite]")
{
    const TemporaryFolder folder;
    sqlite::Database first{folder.file("one.db")};
    sqlite::Database second{folder.file("one.db")};
    auto transaction = std::make_unique<sqlite::Transaction>(first);
    std::thread{[&] { transaction.reset(); }}.join();
    sqlite::Transaction here{second};
    CHECK_THROWS_WITH(sqlite::Transaction{first}, Contains(sentence));
}
