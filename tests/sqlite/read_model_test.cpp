// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/sqlite/read_model.hpp>

#include <escqrs/commands/repository.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/projections/projection.hpp>
#include <escqrs/testing/catch2.hpp>

#include "support/account.hpp"
#include "support/temporary_folder.hpp"

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace escqrs;
using account::Account;
using account::AccountOpened;
using account::MoneyDeposited;

namespace {

using Store = in_memory::EventStore;
static_assert(Checkpoint<sqlite::Checkpoint>);
static_assert(TransactionalCheckpoint<sqlite::ReadModel>);

/// The sum of each account in `factor` cents, and how many events were handled in all.
sqlite::ReadModelSchema balances_schema(unsigned version)
{
    return {
        .name = "balances",
        .version = version,
        .tables = {"account", "balance"},
        .sql = "CREATE TABLE account{v} (stream TEXT PRIMARY KEY) STRICT;"
               "CREATE TABLE balance{v} (stream TEXT PRIMARY KEY REFERENCES account{v}, cents INTEGER NOT NULL) STRICT;"
               "CREATE INDEX balance_by_cents{v} ON balance{v} (cents);"};
}

struct Balances {
    using Events = EventList<AccountOpened, MoneyDeposited>;

    Balances(sqlite::Database& database, const sqlite::ReadModel& model, std::vector<std::int64_t>& outside)
        : mails{&outside}, factor{model.version()},
          insert_account{database, model.sql("INSERT INTO account{v} VALUES (?)")},
          insert{database, model.sql("INSERT INTO balance{v} VALUES (?, 0)")},
          add{database, model.sql("UPDATE balance{v} SET cents = cents + ? WHERE stream = ?")},
          clear_balances{database, model.sql("DELETE FROM balance{v}")},
          clear_accounts{database, model.sql("DELETE FROM account{v}")}
    {
    }

    void handle(const AccountOpened&, const EventContext& context)
    {
        insert_account.run(context.stream.text());
        insert.run(context.stream.text());
    }
    void handle(const MoneyDeposited& event, const EventContext& context)
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

    std::vector<std::int64_t>* mails; ///< effects outside
    std::int64_t factor;
    std::int64_t refused = 0;
    sqlite::Statement insert_account;
    sqlite::Statement insert;
    sqlite::Statement add;
    sqlite::Statement clear_balances;
    sqlite::Statement clear_accounts;
};

/// One program that builds a version of the read model, with its own connection.
struct Builder {
    Builder(Store& store, const std::string& path, unsigned version, std::vector<std::int64_t>& mails,
            std::size_t page_size = 2)
        : database{path}, model{database, balances_schema(version)}, balances{database, model, mails},
          projection{store, model, balances, options(page_size)}
    {
    }

    static SubscriptionOptions options(std::size_t page_size)
    {
        SubscriptionOptions options;
        options.page_size = page_size;
        return options;
    }

    sqlite::Database database;
    sqlite::ReadModel model;
    Balances balances;
    Projection<Store, sqlite::ReadModel, Balances> projection;
};

void deposit(Store& store, Account& account, std::int64_t cents)
{
    account.deposit(cents);
    const Repository<Account, Store> accounts{store};
    accounts.save(account);
}

} // namespace

TEST_CASE("the first version of a read model is live at once, and goes on where it was")
{
    const TemporaryFolder folder;
    Store store;
    std::vector<std::int64_t> mails;
    auto account = Account::open(Account::Id{random_uuid()}, "Ada");
    deposit(store, account, 5);
    {
        Builder one{store, folder.file("model.db"), 1, mails};
        CHECK(one.model.is_live());
        CHECK(one.projection.catch_up() == GlobalPosition{2});
    }
    deposit(store, account, 6);
    Builder one{store, folder.file("model.db"), 1, mails};
    CHECK(one.model.load() == GlobalPosition{2});
    one.projection.catch_up();
    sqlite::Database reader{folder.file("model.db")};
    CHECK(reader.query_integer("SELECT cents FROM balance") == 11);
    CHECK(mails == std::vector<std::int64_t>{5, 6});
    one.projection.restart();
    one.projection.catch_up();
    CHECK(reader.query_integer("SELECT cents FROM balance") == 11);
    CHECK(mails == std::vector<std::int64_t>{5, 6});
}

TEST_CASE("a read model that is not of the log is refused, and so is a version built beside it; both can be built anew")
{
    const TemporaryFolder folder;
    Store store;
    std::vector<std::int64_t> mails;
    auto account = Account::open(Account::Id{random_uuid()}, "Ada");
    for (int count = 0; count < 5; ++count) deposit(store, account, 1);
    Builder{store, folder.file("model.db"), 1, mails}.projection.catch_up();
    CHECK(mails.size() == 5);

    Store other;
    account = Account::open(Account::Id{random_uuid()}, "Eve");
    deposit(other, account, 2);
    Builder one{other, folder.file("model.db"), 1, mails};
    Builder two{other, folder.file("model.db"), 2, mails};
    CHECK_THROWS_WITH(one.projection.catch_up(), Catch::Contains("checkpoint 'balances_v1' at position 6"));
    CHECK_THROWS_WITH(two.projection.catch_up(),
                      Catch::Contains("live version beside checkpoint 'balances_v2' at position 6"));
    CHECK_FALSE(two.model.is_live());
    one.projection.restart();
    one.projection.catch_up();
    CHECK(mails == std::vector<std::int64_t>{1, 1, 1, 1, 1, 2});
    two.projection.catch_up();
    CHECK(two.model.is_live());
    deposit(other, account, 3);
    two.projection.catch_up();
    CHECK(mails == std::vector<std::int64_t>{1, 1, 1, 1, 1, 2, 3});
}

TEST_CASE("a new version is built beside the running one, and takes its place when it has come as far")
{
    const TemporaryFolder folder;
    const std::string path = folder.file("model.db");
    Store store;
    std::vector<std::int64_t> mails;
    auto account = Account::open(Account::Id{random_uuid()}, "Ada");
    for (const std::int64_t cents : {1, 2, 3, 4}) deposit(store, account, cents);
    Builder old{store, path, 1, mails};
    old.projection.catch_up();
    sqlite::Database reader{path};
    sqlite::LiveReadModel live{reader, "balances"};
    const auto shown = [&] { return reader.query_integer("SELECT cents FROM balance"); };
    deposit(store, account, 5); // the old version has not seen it

    {
        Builder next{store, path, 2, mails}; // begins, and dies
        auto transaction = next.model.begin();
        CHECK(transaction.position() == GlobalPosition{});
        CHECK(transaction.limit() == GlobalPosition{5});
    }
    Builder next{store, path, 2, mails};
    CHECK_FALSE(next.model.is_live());
    CHECK(shown() == 10);
    CHECK(live.version() == 1);
    old.projection.catch_up(); // goes on meanwhile
    CHECK(shown() == 15);
    deposit(store, account, 6);

    CHECK(next.projection.catch_up() == GlobalPosition{7});
    CHECK(next.model.is_live());
    CHECK(live.version() == 2);
    CHECK(live.load() == GlobalPosition{7});
    CHECK(shown() == 2 * 21);
    CHECK(mails == std::vector<std::int64_t>{1, 2, 3, 4, 5, 6}); // none lost, none twice

    CHECK_THROWS_AS(old.projection.catch_up(), ReadModelSuperseded);
    CHECK_THROWS_AS(old.projection.run({}), ReadModelSuperseded);
    CHECK_THROWS_AS((Builder{store, path, 1, mails}), ReadModelSuperseded);
    CHECK(reader.query_integer("SELECT count(*) FROM sqlite_schema WHERE name LIKE '%\\_v1' ESCAPE '\\'") == 0);

    next.projection.restart();
    next.projection.catch_up();
    CHECK(mails.size() == 6);
    CHECK(shown() == 2 * 21);
}

TEST_CASE("a version that was never completed gives way to the next; the running one does not")
{
    const TemporaryFolder folder;
    const std::string path = folder.file("model.db");
    Store store;
    std::vector<std::int64_t> mails;
    auto account = Account::open(Account::Id{random_uuid()}, "Ada");
    deposit(store, account, 1);
    Builder one{store, path, 1, mails};
    one.projection.catch_up();
    Builder two{store, path, 2, mails};
    Builder three{store, path, 3, mails};
    CHECK_THROWS_AS(two.projection.catch_up(), ReadModelSuperseded);
    CHECK_THROWS_AS((Builder{store, path, 2, mails}), ReadModelSuperseded);
    Builder one_again{store, path, 1, mails};
    CHECK(one_again.model.is_live());
    three.projection.catch_up();
    sqlite::Database reader{path};
    CHECK(reader.query_integer("SELECT cents FROM balance") == 3);
    CHECK(mails == std::vector<std::int64_t>{1});
}

TEST_CASE("names that would not be names in SQL are refused")
{
    const TemporaryFolder folder;
    sqlite::Database database{folder.file("model.db")};
    CHECK_THROWS_WITH((sqlite::ReadModel{database, {.name = "it's", .tables = {}, .sql = ""}}),
                      Catch::Contains("it's"));
    CHECK_THROWS_AS((sqlite::ReadModel{database, {.name = "good", .tables = {"a b"}, .sql = ""}}), StoreError);
}

TEST_CASE("while versions change under load, readers see one version, whole, and no effect is lost or doubled")
{
    const TemporaryFolder folder;
    const std::string path = folder.file("model.db");
    Store store;
    std::vector<std::int64_t> old_mails;
    std::vector<std::int64_t> new_mails;
    auto account = Account::open(Account::Id{random_uuid()}, "Ada");
    deposit(store, account, 1000);
    {
        Builder old{store, path, 1, old_mails};
        old.projection.catch_up();
    }
    std::atomic<bool> is_writing{true};
    std::atomic<int> superseded{0};
    std::jthread old_program{[&](std::stop_token stop) {
        try {
            Builder old{store, path, 1, old_mails, 3};
            old.projection.run(stop);
        } catch (const ReadModelSuperseded&) {
            ++superseded;
        }
    }};
    std::jthread writer{[&] {
        for (std::int64_t cents = 1; cents <= 300; ++cents) deposit(store, account, cents);
        is_writing = false;
    }};
    std::atomic<std::int64_t> torn{0};
    std::jthread reader{[&](std::stop_token stop) {
        sqlite::Database database{path};
        std::int64_t before = 0;
        while (!stop.stop_requested()) {
            const auto cents = database.query_integer("SELECT cents FROM balance");
            if (cents < before || cents < 1000) ++torn;
            before = cents;
        }
    }};
    {
        Builder next{store, path, 2, new_mails, 5};
        while (is_writing || next.model.load() < store.head()) next.projection.catch_up();
    }
    old_program.join();
    reader.request_stop();
    reader.join();
    CHECK(superseded == 1);
    CHECK(torn == 0);
    std::vector<std::int64_t> wanted{1000};
    for (std::int64_t cents = 1; cents <= 300; ++cents) wanted.push_back(cents);
    old_mails.insert(old_mails.end(), new_mails.begin(), new_mails.end());
    CHECK(old_mails == wanted);
    sqlite::Database database{path};
    CHECK(database.query_integer("SELECT cents FROM balance") == 2 * (1000 + 300 * 301 / 2));
}

TEST_CASE("what the old version has parked is parked in the new one, and its effect neither lost nor doubled")
{
    const TemporaryFolder folder;
    const std::string path = folder.file("model.db");
    Store store;
    std::vector<std::int64_t> mails;
    auto account = Account::open(Account::Id{random_uuid()}, "Ada");
    auto other = Account::open(Account::Id{random_uuid()}, "Bob");
    for (const std::int64_t cents : {1, 2, 3}) {
        deposit(store, account, cents);
        deposit(store, other, cents * 100);
    }
    const StreamId stream{Account::category, account.id().value()};
    using ParkingProjection =
        Projection<Store, sqlite::ReadModel, Balances, Codec<Balances::Events>, sqlite::ParkingLot>;
    Builder old{store, path, 1, mails};
    auto old_lot = old.model.parking_lot();
    ParkingProjection old_projection{store, old.model, old_lot, old.balances};
    old.balances.refused = 2;
    old_projection.catch_up();
    CHECK(mails == std::vector<std::int64_t>{1, 100, 200, 300});

    Builder next{store, path, 2, mails};
    auto lot = next.model.parking_lot();
    std::stop_source stop;
    SubscriptionOptions options;
    options.predicate = [&](const RecordedEvent& event) {
        if (event.position == GlobalPosition{7}) stop.request_stop(); // just before it has come as far
        return true;
    };
    ParkingProjection projection{store, next.model, lot, next.balances, options};
    projection.catch_up(stop.get_token());
    REQUIRE_FALSE(next.model.is_live());
    REQUIRE(projection.parked().size() == 1);
    CHECK(projection.parked()[0].version == StreamVersion{3});
    CHECK_THAT(projection.parked()[0].error, Catch::Contains("cannot count it"));
    CHECK_FALSE(projection.replay(stream)); // not before it is live
    CHECK(mails.size() == 4);

    SECTION("replayed in the new one") {}
    SECTION("replayed in the old one before the switch")
    {
        old.balances.refused = 0;
        CHECK(old_projection.replay(stream));
        CHECK(mails.size() == 6);
    }
    SECTION("replayed in part in the old one before the switch")
    {
        old.balances.refused = 3;
        CHECK_FALSE(old_projection.replay(stream));
        CHECK(mails.size() == 5);
    }
    projection.catch_up();
    REQUIRE(next.model.is_live());
    CHECK(projection.replay(stream));
    CHECK(mails == std::vector<std::int64_t>{1, 100, 200, 300, 2, 3});
    CHECK(lot.is_empty());
    sqlite::Database reader{path};
    CHECK(reader.query_integer("SELECT sum(cents) FROM balance") == 2 * 606);
    CHECK(reader.query_integer("SELECT count(*) FROM escqrs_parked_streams") == 0);
}
