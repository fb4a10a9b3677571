// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/account.hpp"

#include <escqrs/commands/repository.hpp>
#include <escqrs/in_memory/checkpoint.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/in_memory/parking_lot.hpp>
#include <escqrs/projections/projection.hpp>
#include <escqrs/testing/catch2.hpp>

#include <map>
#include <set>
#include <string>
#include <vector>

using namespace escqrs;
using account::Account;
using account::AccountOpened;
using account::MoneyDeposited;

namespace {

using Store = in_memory::EventStore;

/// What was deposited, by stream and in order; refuses the amounts in `refused`.
struct Deposits {
    using Events = EventList<AccountOpened, MoneyDeposited>;

    void handle(const AccountOpened&, const EventContext& context) { seen[context.stream.text()] = {}; }
    void handle(const MoneyDeposited& event, const EventContext& context)
    {
        if (broken) throw StoreError{"the disk is full"};
        if (refused.contains(event.cents)) throw std::runtime_error{"cannot count " + std::to_string(event.cents)};
        seen[context.stream.text()].push_back(event.cents);
        if (!context.is_replay) outside.push_back(event.cents);
    }
    void clear() { seen.clear(); }

    std::map<std::string, std::vector<std::int64_t>> seen;
    std::vector<std::int64_t> outside; ///< effects outside the read model
    std::set<std::int64_t> refused;
    bool broken = false;
};

using Cents = std::vector<std::int64_t>;

struct Bank {
    StreamId open()
    {
        accounts_open.push_back(Account::open(Account::Id{random_uuid()}, "Ada"));
        accounts.save(accounts_open.back());
        return StreamId{Account::category, accounts_open.back().id().value()};
    }
    void deposit(std::size_t account, std::int64_t cents)
    {
        accounts_open[account].deposit(cents);
        accounts.save(accounts_open[account]);
    }

    Store store;
    Repository<Account, Store> accounts{store};
    std::vector<Account> accounts_open;
};

SubscriptionOptions pages_of(std::size_t size)
{
    SubscriptionOptions options;
    options.page_size = size;
    return options;
}

} // namespace

TEST_CASE("an event that cannot be handled is parked, with the later ones of its stream, while other streams continue")
{
    Bank bank;
    in_memory::Checkpoint place;
    in_memory::ParkingLot lot;
    Deposits deposits;
    const StreamId bad = bank.open();
    const StreamId good = bank.open();
    deposits.refused = {13, 14};
    for (const std::int64_t cents : {1, 13, 2, 14, 3}) {
        bank.deposit(0, cents);
        bank.deposit(1, 100 + cents);
    }
    Projection projection{bank.store, place, lot, deposits,
                          pages_of(GENERATE(std::size_t{1}, std::size_t{3}, std::size_t{500}))};
    CHECK(projection.catch_up() == bank.store.head());
    CHECK(place.load() == bank.store.head());
    CHECK(deposits.seen[bad.text()] == Cents{1});
    CHECK(deposits.seen[good.text()] == Cents{101, 113, 102, 114, 103});

    const auto parked = projection.parked();
    REQUIRE(parked.size() == 1);
    CHECK(parked[0].stream == bad);
    CHECK(parked[0].version == StreamVersion{3});
    CHECK(parked[0].position == GlobalPosition{5});
    CHECK(parked[0].last == StreamVersion{6});
    CHECK(parked[0].events == 4);
    CHECK(parked[0].error == "cannot count 13");

    SECTION("nothing repaired: it stays")
    {
        CHECK_FALSE(projection.replay(bad));
        CHECK(projection.parked() == parked);
        CHECK(deposits.seen[bad.text()] == Cents{1});
    }
    SECTION("replayed as far as it gets")
    {
        deposits.refused = {14};
        CHECK_FALSE(projection.replay(bad));
        CHECK(deposits.seen[bad.text()] == Cents{1, 13, 2});
        const auto left = projection.parked();
        REQUIRE(left.size() == 1);
        CHECK(left[0].version == StreamVersion{5});
        CHECK(left[0].events == 2);
        CHECK(left[0].error == "cannot count 14");
        deposits.refused.clear();
        CHECK(projection.replay(bad));
        CHECK(deposits.seen[bad.text()] == Cents{1, 13, 2, 14, 3});
        CHECK(projection.parked().empty());
    }
    SECTION("replayed, it follows the log again; what came meanwhile keeps its place")
    {
        bank.deposit(0, 4);
        projection.catch_up();
        CHECK(projection.parked()[0].events == 5);
        bank.deposit(0, 5); // not yet seen: not to be replayed
        deposits.refused.clear();
        CHECK(projection.replay(bad));
        CHECK(deposits.seen[bad.text()] == Cents{1, 13, 2, 14, 3, 4});
        projection.catch_up();
        CHECK(deposits.seen[bad.text()] == Cents{1, 13, 2, 14, 3, 4, 5});
        CHECK(lot.is_empty());
    }
    CHECK(projection.replay(good));
    CHECK(deposits.outside.size() == 5 + deposits.seen[bad.text()].size());
}

namespace {

struct Paid {
    static constexpr std::string_view event_name = "Paid";
    void serialize(auto&, unsigned) {}
};
struct Noted {
    static constexpr std::string_view event_name = "Noted";
    void serialize(auto&, unsigned) {}
};

/// The versions that were handled; refuses those that the test names.
template <class... Types>
struct VersionsOf {
    using Events = EventList<Types...>;

    void handle(const auto&, const EventContext& context)
    {
        const auto version = context.version.value();
        if (refused.contains(version)) throw std::runtime_error{"cannot handle " + std::to_string(version)};
        handled.push_back(version);
    }
    void clear() { handled.clear(); }

    std::set<std::uint64_t> refused;
    std::vector<std::uint64_t> handled;
};

} // namespace

TEST_CASE("a parked stream is replayed whole and in order when the handlers take further types, or fewer")
{
    using Numbers = std::vector<std::uint64_t>;
    Store store;
    in_memory::Checkpoint place;
    in_memory::ParkingLot lot;
    const StreamId stream = StreamId::parse("bill-1");
    const auto append = [&](std::string_view type) {
        const NewEvent event{EventId{random_uuid()}, type, 0, archive::Binary::content_type, {}, {}};
        store.append(stream, ExpectedVersion::any(), {&event, 1});
    };
    const auto page = pages_of(GENERATE(std::size_t{1}, std::size_t{2}, std::size_t{500}));

    SECTION("further types")
    {
        for (const char* const type : {"Paid", "Noted", "Noted", "Paid", "Noted"}) append(type);
        VersionsOf<Paid> before{{1}, {}};
        Projection{store, place, lot, before, page}.catch_up();
        CHECK(lot.find(stream)->events == 2);
        VersionsOf<Paid, Noted> after{{GENERATE(std::uint64_t{2}, 3, 4, 5)}, {}};
        Projection projection{store, place, lot, after, page};
        CHECK_FALSE(projection.replay(stream));
        REQUIRE(projection.parked().size() == 1);
        const std::uint64_t failed = *after.refused.begin();
        CHECK(projection.parked()[0].version == StreamVersion{failed});
        CHECK(projection.parked()[0].position == GlobalPosition{failed});
        CHECK(projection.parked()[0].last == StreamVersion{5});
        CHECK(projection.parked()[0].events == 6 - failed);
        append("Paid");
        projection.catch_up();
        CHECK(after.handled.size() == failed - 1);
        after.refused.clear();
        CHECK(projection.replay(stream));
        CHECK(after.handled == Numbers{1, 2, 3, 4, 5, 6});
        CHECK(lot.is_empty());
    }
    SECTION("fewer types")
    {
        for (const char* const type : {"Paid", "Noted", "Noted", "Paid"}) append(type);
        VersionsOf<Paid, Noted> before{{1}, {}};
        Projection{store, place, lot, before, page}.catch_up();
        VersionsOf<Paid> after{{4}, {}};
        Projection projection{store, place, lot, after, page};
        CHECK_FALSE(projection.replay(stream));
        CHECK(projection.parked().at(0).version == StreamVersion{4});
        CHECK(projection.parked().at(0).events == 1);
        after.refused.clear();
        CHECK(projection.replay(stream));
        append("Paid");
        projection.catch_up();
        CHECK(after.handled == Numbers{1, 4, 5});
        CHECK(lot.is_empty());
    }
}

TEST_CASE("an event that cannot be decoded is parked like any other that fails")
{
    Bank bank;
    in_memory::Checkpoint place;
    in_memory::ParkingLot lot;
    Deposits deposits;
    bank.open();
    const StreamId other{"account", "x"};
    const NewEvent broken{EventId{random_uuid()}, "MoneyDeposited", 1, "application/unheard-of", {}, {}};
    bank.store.append(other, ExpectedVersion::any(), {&broken, 1});
    bank.deposit(0, 1);
    Projection projection{bank.store, place, lot, deposits};
    CHECK(projection.catch_up() == GlobalPosition{3});
    REQUIRE(projection.parked().size() == 1);
    CHECK_THAT(projection.parked()[0].error, Catch::Contains("unheard-of"));
}

TEST_CASE("whatever a handler throws parks its event")
{
    Store store;
    in_memory::Checkpoint place;
    in_memory::ParkingLot lot;
    struct Thrower {
        using Events = EventList<Paid>;
        void handle(const Paid&, const EventContext&) { throw 42; } // NOLINT(hicpp-exception-baseclass)
        void clear() {}
    } handlers;
    const NewEvent event{EventId{random_uuid()}, "Paid", 0, archive::Binary::content_type, {}, {}};
    store.append(StreamId::parse("bill-1"), ExpectedVersion::any(), {&event, 1});
    Projection projection{store, place, lot, handlers};
    projection.catch_up();
    CHECK_THAT(projection.parked().at(0).error, Catch::Contains("not a std::exception"));
    CHECK_FALSE(projection.replay(StreamId::parse("bill-1")));
}

TEST_CASE("a failure that says nothing about the event parks nothing")
{
    Bank bank;
    in_memory::Checkpoint place;
    in_memory::ParkingLot lot;
    Deposits deposits;
    bank.open();
    bank.deposit(0, 1);
    deposits.broken = true;
    Projection projection{bank.store, place, lot, deposits};
    CHECK_THROWS_AS(projection.catch_up(), StoreError);
    CHECK(lot.is_empty());
    CHECK(place.load() == GlobalPosition{});
    deposits.broken = false;
    projection.catch_up();
    CHECK(deposits.outside == Cents{1});

    deposits.refused = {2};
    bank.deposit(0, 2);
    projection.catch_up();
    deposits.broken = true;
    const auto before = projection.parked();
    CHECK_THROWS_AS(projection.replay(before[0].stream), StoreError);
    CHECK(projection.parked() == before);
}

TEST_CASE("what was parked before a rebuild is not a replay when it is handled at last")
{
    Bank bank;
    in_memory::Checkpoint place;
    in_memory::ParkingLot lot;
    Deposits deposits;
    const StreamId stream = bank.open();
    for (const std::int64_t cents : {1, 2, 3, 4}) bank.deposit(0, cents);
    deposits.refused = {3};
    Projection projection{bank.store, place, lot, deposits, pages_of(2)};
    projection.catch_up();
    CHECK(deposits.outside == Cents{1, 2});

    SECTION("repaired by the rebuild") { deposits.refused.clear(); }
    SECTION("rebuilt twice")
    {
        projection.restart();
        deposits.refused.clear();
    }
    SECTION("still broken in the rebuild, repaired then")
    {
        projection.restart();
        projection.catch_up();
        CHECK(projection.parked().size() == 1);
        deposits.refused.clear();
        CHECK(projection.replay(stream));
    }
    SECTION("broken further to the front in the rebuild")
    {
        deposits.refused = {1, 3};
        projection.restart();
        projection.catch_up();
        CHECK(projection.parked()[0].version == StreamVersion{2});
        deposits.refused.clear();
        CHECK(projection.replay(stream));
    }
    SECTION("replayed, then rebuilt")
    {
        deposits.refused.clear();
        CHECK(projection.replay(stream));
        CHECK(deposits.outside == Cents{1, 2, 3, 4});
    }
    projection.restart();
    CHECK(projection.parked().empty());
    projection.catch_up();
    bank.deposit(0, 5);
    projection.catch_up();
    CHECK(deposits.seen[stream.text()] == Cents{1, 2, 3, 4, 5});
    CHECK(deposits.outside == Cents{1, 2, 3, 4, 5});
    CHECK(lot.is_empty());
}
