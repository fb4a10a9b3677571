// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/account.hpp"

#include <escqrs/commands/repository.hpp>
#include <escqrs/commands/snapshot.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/store/forwarding_event_store.hpp>
#include <escqrs/testing/catch2.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

using namespace escqrs;

namespace {

struct GoodsMoved {
    static constexpr std::string_view event_name = "GoodsMoved";
    std::string article;
    std::int64_t count = 0;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("article", article) & escqrs::field("count", count);
    }
};

/// A warehouse's stock: a long stream, and a state that a snapshot has to hold in full.
class Stock : public AggregateRoot<Stock, GoodsMoved> {
public:
    static constexpr std::string_view category = "stock";
    static constexpr unsigned snapshot_version = 2;

    explicit Stock(const Id& id) : AggregateRoot{id} {}

    void move(std::string article, std::int64_t count) { raise(GoodsMoved{std::move(article), count}); }

    const std::map<std::string, std::int64_t>& counts() const noexcept { return counts_; }
    const std::vector<std::int64_t>& movements() const noexcept { return movements_; }

private:
    friend escqrs::Access;

    void apply(const GoodsMoved& event)
    {
        counts_[event.article] += event.count;
        movements_.push_back(event.count);
    }

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & field("counts", counts_) & field("movements", movements_);
        if (refuses_snapshots) throw std::domain_error{"this state breaks a rule"};
    }

    std::map<std::string, std::int64_t> counts_;
    std::vector<std::int64_t> movements_;

public:
    static inline bool refuses_snapshots = false;
};

/// Passes everything on; counts the events of streams that it shows, and fails at snapshots when told to.
class WatchedStore : public ForwardingEventStore<in_memory::EventStore> {
public:
    void read_stream(const StreamId& stream, StreamVersion from, EventSink sink)
    {
        store().read_stream(stream, from, [&](const RecordedEvent& event) {
            ++shown;
            return sink(event);
        });
    }
    bool read_snapshot(const StreamId& stream, SnapshotSink sink)
    {
        if (fails_at_snapshots) throw StoreError{"no snapshots today"};
        return store().read_snapshot(stream, sink);
    }
    void write_snapshot(const StreamId& stream, const Snapshot& snapshot)
    {
        if (fails_at_snapshots) throw StoreError{"no snapshots today"};
        ++written;
        store().write_snapshot(stream, snapshot);
    }

    std::size_t shown = 0;
    std::size_t written = 0;
    bool fails_at_snapshots = false;
};

using Stocks = Repository<Stock, WatchedStore>;

RepositoryOptions with(SnapshotPolicy policy)
{
    RepositoryOptions options;
    options.snapshots = policy;
    return options;
}

/// What a load shows, and how many events it reads.
struct Loaded {
    std::map<std::string, std::int64_t> counts;
    std::vector<std::int64_t> movements;
    StreamVersion version;
    GlobalPosition position;

    friend bool operator==(const Loaded&, const Loaded&) = default;
};

Loaded load(const Stocks& stocks, const Stock::Id& id)
{
    const Stock stock = stocks.get(id);
    return {stock.counts(), stock.movements(), stock.version(), stock.position()};
}

std::size_t events_read_by_load(WatchedStore& store, const Stocks& stocks, const Stock::Id& id)
{
    const std::size_t before = store.shown;
    (void)stocks.get(id);
    return store.shown - before;
}

struct StoredSnapshot {
    StreamVersion version;
    unsigned schema_version = 0;
    std::string content_type;
    std::vector<std::byte> payload;
};

std::optional<StoredSnapshot> stored_snapshot(WatchedStore& store, const Stock::Id& id)
{
    std::optional<StoredSnapshot> found;
    store.store().read_snapshot(Stocks::stream_of(id), [&](const Snapshot& snapshot) {
        found = {snapshot.version,
                 snapshot.schema_version,
                 std::string{snapshot.content_type},
                 {snapshot.payload.begin(), snapshot.payload.end()}};
    });
    return found;
}

void put_snapshot(WatchedStore& store, const Stock::Id& id, const StoredSnapshot& snapshot)
{
    store.store().write_snapshot(Stocks::stream_of(id),
                                 {snapshot.version, snapshot.schema_version, snapshot.content_type, snapshot.payload});
}

/// A stock with `count` events, each saved by itself.
Stock::Id fill(const Stocks& stocks, int count)
{
    Stock stock{Stock::Id{random_uuid()}};
    for (int at = 0; at < count; ++at) {
        stock.move("article-" + std::to_string(at % 3), at + 1);
        stocks.save(stock);
    }
    return stock.id();
}

} // namespace

TEST_CASE("a snapshot is due after so many events, so many bytes, or never")
{
    CHECK_FALSE(SnapshotPolicy::never().is_due(1'000'000'000, 1'000'000'000));
    CHECK_FALSE(SnapshotPolicy::every(3).is_due(2, 1'000'000));
    CHECK(SnapshotPolicy::every(3).is_due(3, 1));
    CHECK(SnapshotPolicy::every(0).is_due(1, 1));
    CHECK_FALSE(SnapshotPolicy::every(0).is_due(0, 0));
    CHECK_FALSE(SnapshotPolicy::every_bytes(100).is_due(1'000'000, 99));
    CHECK(SnapshotPolicy::every_bytes(100).is_due(1, 100));
}

TEST_CASE("loading with a snapshot shows what a full replay shows, and reads only what came after it")
{
    WatchedStore store;
    const Stocks stocks{store, with(SnapshotPolicy::every(5))};
    const Stocks plain{store};
    const auto id = fill(stocks, 12);
    CHECK(store.written == 2);
    REQUIRE(stored_snapshot(store, id));
    CHECK(stored_snapshot(store, id)->version == StreamVersion{10});
    CHECK(load(stocks, id) == load(plain, id));
    CHECK(events_read_by_load(store, stocks, id) == 3); // two, and the one the snapshot ends with
    CHECK(events_read_by_load(store, plain, id) == 12);
}

TEST_CASE("loading with a snapshot does not cost more as the stream grows")
{
    WatchedStore store;
    const Stocks stocks{store, with(SnapshotPolicy::every(20))};
    Stock stock{Stock::Id{random_uuid()}};
    std::size_t most = 0;
    for (int at = 0; at < 500; ++at) {
        stock.move("article", 1);
        stocks.save(stock);
        most = std::max(most, events_read_by_load(store, stocks, stock.id()));
    }
    CHECK(most == 20);
}

TEST_CASE("the count continues over loads: executing command after command keeps snapshots, too")
{
    WatchedStore store;
    const Stocks stocks{store, with(SnapshotPolicy::every(4))};
    const auto id = fill(stocks, 1);
    for (int at = 0; at < 11; ++at) stocks.execute(id, [](Stock& stock) { stock.move("article", 1); });
    CHECK(store.written == 3);
    CHECK(stored_snapshot(store, id)->version == StreamVersion{12});
}

TEST_CASE("snapshots by bytes follow the size of what was saved")
{
    WatchedStore store;
    const Stocks stocks{store, with(SnapshotPolicy::every_bytes(10'000))};
    Stock stock{Stock::Id{random_uuid()}};
    for (int at = 0; at < 20; ++at) stock.move("short", 1);
    stocks.save(stock);
    CHECK(store.written == 0);
    stock.move(std::string(10'000, 'x'), 1);
    stocks.save(stock);
    CHECK(store.written == 1);
    CHECK(load(stocks, stock.id()) == load(Stocks{store}, stock.id()));
}

TEST_CASE("a snapshot that cannot be used costs a full replay, and is written anew")
{
    WatchedStore store;
    const Stocks stocks{store, with(SnapshotPolicy::every(10))};
    const auto id = fill(stocks, 10);
    const auto good = stored_snapshot(store, id);
    REQUIRE(good);
    const auto expected = load(Stocks{store}, id);
    StoredSnapshot bad = *good;
    SECTION("of an older version") { bad.schema_version = Stock::snapshot_version - 1; }
    SECTION("in another format") { bad.content_type = "application/json"; }
    SECTION("cut short") { bad.payload.pop_back(); }
    SECTION("cut to nothing") { bad.payload.clear(); }
    SECTION("with something after it") { bad.payload.push_back(std::byte{0}); }
    SECTION("of a longer history than the stream has") { bad.version = StreamVersion{11}; }
    SECTION("of a history that is yet to come") { bad.version = StreamVersion{~std::uint64_t{0}}; }
    put_snapshot(store, id, bad);
    CHECK(load(stocks, id) == expected);
    CHECK(stored_snapshot(store, id)->payload == good->payload);
    CHECK(stored_snapshot(store, id)->version == StreamVersion{10});
    CHECK(events_read_by_load(store, stocks, id) == 1);
}

TEST_CASE("no damaged byte of a snapshot goes unnoticed")
{
    WatchedStore store;
    const Stocks stocks{store, with(SnapshotPolicy::every(10))};
    const auto id = fill(stocks, 10);
    const auto good = stored_snapshot(store, id);
    REQUIRE(good);
    const auto expected = load(Stocks{store}, id);
    for (std::size_t at = 0; at < good->payload.size(); ++at) {
        for (const unsigned flipped : {1U, 0x80U, 0xFFU}) {
            StoredSnapshot bad = *good;
            bad.payload[at] ^= static_cast<std::byte>(flipped);
            put_snapshot(store, id, bad);
            REQUIRE(load(stocks, id) == expected);
            REQUIRE(stored_snapshot(store, id)->payload == good->payload);
        }
    }
}

TEST_CASE("a snapshot that the state itself refuses costs a full replay")
{
    WatchedStore store;
    const Stocks stocks{store, with(SnapshotPolicy::every(10))};
    const auto id = fill(stocks, 10);
    const auto expected = load(Stocks{store}, id);
    Stock::refuses_snapshots = true;
    CHECK(load(stocks, id) == expected);
    Stock::refuses_snapshots = false;
    CHECK(load(stocks, id) == expected);
}

TEST_CASE("a newer program's snapshot is passed over, and left to it")
{
    WatchedStore store;
    const Stocks stocks{store, with(SnapshotPolicy::every(10))};
    const auto id = fill(stocks, 10);
    auto newer = stored_snapshot(store, id).value();
    newer.schema_version = Stock::snapshot_version + 1;
    newer.payload = {std::byte{1}};
    put_snapshot(store, id, newer);
    CHECK(load(stocks, id) == load(Stocks{store}, id));
    stocks.execute(id, [](Stock& stock) {
        for (int moves = 0; moves < 10; ++moves) stock.move("article", 1);
    });
    CHECK(stored_snapshot(store, id)->payload == newer.payload);
}

TEST_CASE("a store that fails at snapshots fails at nothing else, and is reported")
{
    WatchedStore store;
    auto options = with(SnapshotPolicy::every(2));
    std::vector<std::string> reports;
    options.on_snapshot_failure = [&](const StreamId& stream, std::exception_ptr failure) {
        try {
            std::rethrow_exception(std::move(failure));
        } catch (const StoreError& error) {
            reports.push_back(stream.text().substr(0, 5) + ": " + error.what());
        }
    };
    const Stocks stocks{store, options};
    store.fails_at_snapshots = true;
    const auto id = fill(stocks, 2);
    CHECK(reports == std::vector<std::string>{"stock: no snapshots today"});
    CHECK(load(stocks, id) == load(Stocks{store}, id));
    CHECK(reports.size() == 3); // reading it, and writing it anew
    store.fails_at_snapshots = false;
    stocks.execute(id, [](Stock& stock) { stock.move("article", 1); });
    CHECK(stored_snapshot(store, id)->version == StreamVersion{3});
}

TEST_CASE("what was never saved has no snapshot and is not found")
{
    WatchedStore store;
    const Stocks stocks{store, with(SnapshotPolicy::every(1))};
    const Stock::Id id{random_uuid()};
    CHECK_FALSE(stocks.find(id));
    put_snapshot(store, id, {StreamVersion{1}, Stock::snapshot_version, "text/plain", {}});
    CHECK_FALSE(stocks.find(id)); // a snapshot alone makes no aggregate
}

TEST_CASE("without a policy, snapshots are neither read nor written")
{
    WatchedStore store;
    store.fails_at_snapshots = true;
    const Stocks stocks{store};
    const auto id = fill(stocks, 3);
    CHECK(load(stocks, id).version == StreamVersion{3});
}

TEST_CASE("snapshots of an aggregate that has none are refused")
{
    WatchedStore store;
    CHECK_THROWS_WITH((Repository<account::Account, WatchedStore>{store, with(SnapshotPolicy::every(3))}),
                      Catch::Contains("'account'") && Catch::Contains("snapshot_version"));
    CHECK_NOTHROW((Repository<account::Account, WatchedStore>{store}));
}

TEST_CASE("whatever is saved, at whatever policy: state from the snapshot equals state from the events")
{
    const unsigned seed = GENERATE(1U, 2U, 3U, 4U, 5U);
    std::mt19937 random{seed};
    WatchedStore store;
    const auto policy =
        seed % 2 == 0 ? SnapshotPolicy::every(1 + random() % 7) : SnapshotPolicy::every_bytes(20 + random() % 200);
    const Stocks stocks{store, with(policy)};
    const auto id = fill(stocks, 1);
    for (int round = 0; round < 100; ++round) {
        stocks.execute(id, [&](Stock& stock) {
            for (auto count = random() % 4; count > 0; --count)
                stock.move(std::string(random() % 5, 'a'), static_cast<std::int64_t>(random()) - 1000);
        });
        REQUIRE(load(stocks, id) == load(Stocks{store}, id));
    }
    CHECK(store.written > 3);
}

TEST_CASE("threads that share an aggregate and its snapshots lose no update")
{
    const auto inner = std::make_shared<in_memory::EventStore>();
    AnyEventStore store{inner};
    auto options = with(SnapshotPolicy::every(3));
    options.retry.attempts = 10'000;
    const Repository<Stock> stocks{store, options};
    Stock stock{Stock::Id{random_uuid()}};
    stock.move("article", 0);
    stocks.save(stock);
    {
        std::vector<escqrs::jthread> threads;
        for (int thread = 0; thread < 4; ++thread) {
            threads.emplace_back([&] {
                for (int round = 0; round < 50; ++round)
                    stocks.execute(stock.id(), [](Stock& seen) { seen.move("article", 1); });
            });
        }
    }
    CHECK(stocks.get(stock.id()).counts().at("article") == 200);
    CHECK(Repository<Stock>{store}.get(stock.id()).counts().at("article") == 200);
}
