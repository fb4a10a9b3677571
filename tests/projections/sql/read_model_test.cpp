// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/core/stop_token.hpp>
#include <escqrs/projections/sql/read_model.hpp>

#include <escqrs/testing/catch2.hpp>

#include "projections/sql/balances.hpp"

#include <atomic>
#include <string>
#include <vector>

using namespace escqrs;
using account::Account;
using read_side::Balances;
using read_side::Builder;
using read_side::deposit;
using read_side::Place;
using read_side::Reader;
using read_side::Store;

static_assert(TransactionalCheckpoint<read_side::ReadModel>);

TEST_CASE("the first version of a read model is live at once, and goes on where it was")
{
    const Place place;
    Store store;
    std::vector<std::int64_t> mails;
    auto account = Account::open(Account::Id{random_uuid()}, "Ada");
    deposit(store, account, 5);
    {
        Builder one{store, place, 1, mails};
        CHECK(one.model.is_live());
        CHECK(one.projection.catch_up() == GlobalPosition{2});
    }
    deposit(store, account, 6);
    Builder one{store, place, 1, mails};
    CHECK(one.model.load() == GlobalPosition{2});
    one.projection.catch_up();
    Reader reader{place};
    CHECK(reader.number("SELECT cents FROM {s}.balance") == 11);
    CHECK(mails == std::vector<std::int64_t>{5, 6});
    one.projection.restart();
    one.projection.catch_up();
    CHECK(reader.number("SELECT cents FROM {s}.balance") == 11);
    CHECK(mails == std::vector<std::int64_t>{5, 6});
}

TEST_CASE(
    "a read model that is not of the log is refused, and so is a version built beside it, until they are built anew")
{
    const Place place;
    Store store;
    std::vector<std::int64_t> mails;
    auto account = Account::open(Account::Id{random_uuid()}, "Ada");
    for (int count = 0; count < 5; ++count) deposit(store, account, 1);
    Builder{store, place, 1, mails}.projection.catch_up();
    CHECK(mails.size() == 5);

    Store other;
    account = Account::open(Account::Id{random_uuid()}, "Eve");
    deposit(other, account, 2);
    Builder one{other, place, 1, mails};
    Builder two{other, place, 2, mails};
    CHECK_THROWS_WITH(one.projection.catch_up(), Catch::Contains("checkpoint 'balances_v1' at position 6"));
    CHECK_THROWS_WITH(two.projection.catch_up(),
                      Catch::Contains("live version next to checkpoint 'balances_v2' at position 6"));
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
    const Place place;
    Store store;
    std::vector<std::int64_t> mails;
    auto account = Account::open(Account::Id{random_uuid()}, "Ada");
    for (const std::int64_t cents : {1, 2, 3, 4}) deposit(store, account, cents);
    Builder old{store, place, 1, mails};
    old.projection.catch_up();
    Reader reader{place};
    read_side::LiveReadModel live{reader.database, "balances", place.where()};
    const auto shown = [&] { return reader.number("SELECT cents FROM {s}.balance"); };
    deposit(store, account, 5); // the old version has not seen it

    {
        Builder next{store, place, 2, mails}; // begins, and dies
        auto transaction = next.model.begin();
        CHECK(transaction.position() == GlobalPosition{});
        CHECK(transaction.limit() == GlobalPosition{5});
    }
    Builder next{store, place, 2, mails};
    CHECK_FALSE(next.model.is_live());
    CHECK(shown() == 10);
    CHECK(live.version() == 1);
    old.projection.catch_up(); // continues meanwhile
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
    CHECK_THROWS_AS((Builder{store, place, 1, mails}), ReadModelSuperseded);
    CHECK(read_side::count_tables_of_version_1(reader.database, place) == 0);

    next.projection.restart();
    next.projection.catch_up();
    CHECK(mails.size() == 6);
    CHECK(shown() == 2 * 21);
}

TEST_CASE("a version that was never completed gives way to the next, and the running one does not")
{
    const Place place;
    Store store;
    std::vector<std::int64_t> mails;
    auto account = Account::open(Account::Id{random_uuid()}, "Ada");
    deposit(store, account, 1);
    Builder one{store, place, 1, mails};
    one.projection.catch_up();
    Builder two{store, place, 2, mails};
    Builder three{store, place, 3, mails};
    CHECK_THROWS_AS(two.projection.catch_up(), ReadModelSuperseded);
    CHECK_THROWS_AS((Builder{store, place, 2, mails}), ReadModelSuperseded);
    Builder one_again{store, place, 1, mails};
    CHECK(one_again.model.is_live());
    three.projection.catch_up();
    Reader reader{place};
    CHECK(reader.number("SELECT cents FROM {s}.balance") == 3);
    CHECK(mails == std::vector<std::int64_t>{1});
}

TEST_CASE("names that would not be names in SQL are refused")
{
    const Place place;
    auto database = place.connect();
    CHECK_THROWS_WITH((read_side::ReadModel{database, {.name = "it's", .tables = {}, .sql = ""}, place.where()}),
                      Catch::Contains("it's"));
    CHECK_THROWS_AS((read_side::ReadModel{database, {.name = "good", .tables = {"a b"}, .sql = ""}, place.where()}),
                    StoreError);
}

TEST_CASE("while versions change under load, readers see one version, whole, and no effect is lost or doubled")
{
    const Place place;
    Store store;
    std::vector<std::int64_t> old_mails;
    std::vector<std::int64_t> new_mails;
    auto account = Account::open(Account::Id{random_uuid()}, "Ada");
    deposit(store, account, 1000);
    {
        Builder old{store, place, 1, old_mails};
        old.projection.catch_up();
    }
    std::atomic<bool> is_writing{true};
    std::atomic<int> superseded{0};
    escqrs::jthread old_program{[&](escqrs::stop_token stop) {
        try {
            Builder old{store, place, 1, old_mails, 3};
            old.projection.run(stop);
        } catch (const ReadModelSuperseded&) {
            ++superseded;
        }
    }};
    escqrs::jthread writer{[&] {
        for (std::int64_t cents = 1; cents <= 300; ++cents) deposit(store, account, cents);
        is_writing = false;
    }};
    std::atomic<std::int64_t> torn{0};
    escqrs::jthread reader{[&](escqrs::stop_token stop) {
        Reader database{place};
        std::int64_t before = 0;
        while (!stop.stop_requested()) {
            const auto cents = database.number("SELECT cents FROM {s}.balance");
            if (cents < before || cents < 1000) ++torn;
            before = cents;
        }
    }};
    {
        Builder next{store, place, 2, new_mails, 5};
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
    Reader database{place};
    CHECK(database.number("SELECT cents FROM {s}.balance") == 2 * (1000 + 300 * 301 / 2));
}

TEST_CASE("what the old version has parked is parked in the new one, and its effect neither lost nor doubled")
{
    const Place place;
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
        Projection<Store, read_side::ReadModel, Balances, Codec<Balances::Events>, read_side::ParkingLot>;
    Builder old{store, place, 1, mails};
    auto old_lot = old.model.parking_lot();
    ParkingProjection old_projection{store, old.model, old_lot, old.balances};
    old.balances.refused = 2;
    old_projection.catch_up();
    CHECK(mails == std::vector<std::int64_t>{1, 100, 200, 300});

    Builder next{store, place, 2, mails};
    auto lot = next.model.parking_lot();
    escqrs::stop_source stop;
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
    Reader reader{place};
    CHECK(reader.number("SELECT CAST(sum(cents) AS bigint) FROM {s}.balance") == 2 * 606);
    CHECK(reader.count_in("parked_streams") == 0);
}

TEST_CASE("of many programs that bring the same version, all build one, and it is switched to once")
{
    const Place place;
    Store store;
    std::vector<std::int64_t> mails;
    auto account = Account::open(Account::Id{random_uuid()}, "Ada");
    for (std::int64_t cents = 1; cents <= 100; ++cents) deposit(store, account, cents);
    {
        Builder one{store, place, 1, mails};
        one.projection.catch_up();
    }
    std::vector<std::vector<std::int64_t>> new_mails(4);
    std::atomic<int> failures{0};
    {
        std::vector<escqrs::jthread> programs;
        programs.reserve(new_mails.size());
        for (auto& mails_of_one : new_mails) {
            programs.emplace_back([&] {
                try {
                    Builder two{store, place, 2, mails_of_one, 7};
                    two.projection.catch_up();
                    if (!two.model.is_live()) ++failures;
                } catch (const std::exception&) {
                    ++failures;
                }
            });
        }
    }
    CHECK(failures == 0);
    for (const auto& mails_of_one : new_mails) CHECK(mails_of_one.empty());
    Reader reader{place};
    CHECK(reader.number("SELECT cents FROM {s}.balance") == 2 * 5050);
    CHECK(reader.count_in("read_models") == 1);
}
