// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/postgres/reshard.hpp>

#include <escqrs/commands/repository.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/postgres/checkpoint.hpp>
#include <escqrs/postgres/leased_work.hpp>
#include <escqrs/postgres/parking_lot.hpp>
#include <escqrs/projections/projection.hpp>
#include <escqrs/testing/catch2.hpp>

#include "postgres/lease_place.hpp"
#include "support/account.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <random>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace escqrs::postgres;
using account::Account;
using account::AccountOpened;
using account::MoneyDeposited;
using escqrs::GlobalPosition;
using postgres_test::comes_true;
using postgres_test::Place;
using Store = escqrs::in_memory::EventStore;

/// Writes down each event that it handles, as often as it does.
struct Effects {
    using Events = escqrs::EventList<AccountOpened, MoneyDeposited>;

    Effects(Connection& connection, const std::string& schema)
        : insert{connection,
                 with_schema("INSERT INTO {s}.effects (stream, version, is_replay) VALUES ($1, $2, $3)", schema)}
    {
    }
    template <class Event>
    void handle(const Event& event, const escqrs::EventContext& context)
    {
        if constexpr (std::is_same_v<Event, MoneyDeposited>) {
            if (event.cents == poison) throw std::invalid_argument{"cannot be counted"};
        }
        insert.run(context.stream.text(), context.version.value(), context.is_replay);
        if (left > 0 && --left == 0) stop.request_stop();
    }
    void clear() {}

    Statement insert;
    std::int64_t poison = 0; ///< is not handled
    int left = 0;            ///< until it stops; 0: it does not
    std::stop_source stop;
};

/// A projection in shards, its checkpoints and parked streams, in a database.
struct Model {
    explicit Model(Place the_place = {}) : place{std::move(the_place)}
    {
        escqrs::postgres::detail::with_read_models(connection, place.schema);
        connection.execute(with_schema("CREATE TABLE {s}.effects (number bigserial, stream text, version bigint, "
                                       "is_replay boolean)",
                                       place.schema));
    }

    std::int64_t number(const std::string& sql)
    {
        auto rows = Statement{connection, with_schema(sql, place.schema)}.query();
        return rows.next() ? rows.integer(0) : -1;
    }

    /// Events that were handled more than once, or before an earlier one of their stream, or for a second time as they
    /// were told.
    std::int64_t wrong()
    {
        return number(
            "SELECT count(*) FROM (SELECT version, is_replay, row_number() OVER (PARTITION BY stream ORDER BY number) "
            "AS expected FROM {s}.effects) AS effects WHERE version <> expected OR is_replay");
    }
    std::int64_t handled() { return number("SELECT count(*) FROM {s}.effects"); }

    Place place;
    Connection connection{place.address};
};

/// One shard of the model, as a worker has it.
struct Shard {
    Shard(Model& model, Store& store, std::size_t shard, std::size_t shards)
        : lease{model.connection, "model/" + std::to_string(shard), model.place.options(std::to_string(shards))},
          is_held{lease.acquire()}, checkpoint{model.connection, "fold/" + std::to_string(shard), lease},
          parked{model.connection, "fold/" + std::to_string(shard), model.place.schema},
          effects{model.connection, model.place.schema},
          projection{store, checkpoint, parked, effects, options(shard, shards)}
    {
        REQUIRE(is_held);
    }
    ~Shard() { lease.release(); }
    Shard(const Shard&) = delete;
    Shard& operator=(const Shard&) = delete;

    static escqrs::SubscriptionOptions options(std::size_t shard, std::size_t shards)
    {
        escqrs::SubscriptionOptions options;
        options.page_size = 7;
        options.predicate = [=](const escqrs::RecordedEvent& event) { return shard_of(event.stream, shards) == shard; };
        return options;
    }

    Lease lease;
    bool is_held;
    Checkpoint checkpoint;
    ParkingLot parked;
    Effects effects;
    escqrs::Projection<Store, Checkpoint, Effects, escqrs::Codec<Effects::Events>, ParkingLot> projection;
};

/// Accounts whose deposits are appended in turn.
class Accounts {
public:
    explicit Accounts(Store& store) : repository_{store} {}

    void deposit(int times, std::int64_t cents = 1)
    {
        for (int time = 0; time < times; ++time) {
            for (auto& account : accounts_) {
                if (account->version() == escqrs::StreamVersion{}) {
                    *account = Account::open(account->id(), "Ada");
                } else {
                    account->deposit(cents);
                }
                repository_.save(*account);
                ++events_;
            }
        }
    }
    std::int64_t events() const { return events_; }

private:
    static std::vector<std::unique_ptr<Account>> some()
    {
        std::vector<std::unique_ptr<Account>> accounts;
        for (int count = 0; count < 20; ++count) {
            accounts.push_back(std::make_unique<Account>(Account::Id{escqrs::random_uuid()}));
        }
        return accounts;
    }

    escqrs::Repository<Account, Store> repository_;
    std::vector<std::unique_ptr<Account>> accounts_ = some();
    std::int64_t events_ = 0;
};

void claim(Model& model, std::size_t shards)
{
    Transaction transaction{model.connection};
    REQUIRE(escqrs::postgres::detail::claim_shards(model.connection, "model", shards, model.place.schema) == shards);
    transaction.commit();
}

} // namespace

TEST_CASE(
    "a changed number of shards loses and doubles nothing, wherever each shard stands, and keeps the order of streams")
{
    std::mt19937 random{GENERATE(1U, 2U, 3U)};
    Model model;
    Store store;
    Accounts accounts{store};
    constexpr std::int64_t poison = 13;
    accounts.deposit(3);
    std::size_t shards = 4;
    claim(model, shards);
    for (const std::size_t next : {6U, 3U, 3U, 1U, 5U}) {
        for (std::size_t shard = 0; shard < shards; ++shard) {
            Shard worker{model, store, shard, shards};
            worker.effects.poison = poison;
            worker.projection.catch_up();
        }
        accounts.deposit(2);
        if (next == 3) accounts.deposit(1, poison);
        accounts.deposit(2);
        for (std::size_t shard = random() % 2; shard < shards; ++shard) {
            Shard worker{model, store, shard, shards};
            worker.effects.poison = poison;
            worker.effects.left = 1 + static_cast<int>(random() % 30);
            worker.projection.catch_up(worker.effects.stop.get_token());
        }
        reshard(model.connection, "model", next, model.place.schema);
        CHECK(model.number("SELECT count(*) FROM {s}.checkpoints") == static_cast<std::int64_t>(next));
        shards = next;
    }
    CHECK(model.wrong() == 0);
    for (std::size_t shard = 0; shard < shards; ++shard) {
        Shard worker{model, store, shard, shards};
        worker.projection.catch_up();
        const auto parked = worker.projection.parked();
        for (const auto& stream : parked) CHECK(worker.projection.replay(stream.stream));
    }
    CHECK(model.number("SELECT count(*) FROM {s}.parked_streams") == 0);
    CHECK(model.handled() == accounts.events());
    CHECK(model.wrong() == 0);
    CHECK(model.number("SELECT count(*) FROM {s}.checkpoints WHERE handled_before IS NOT NULL") == 0);
}

TEST_CASE("the number of shards may change under load, and nothing is doubled or lost")
{
    Model model;
    Store store;
    std::atomic<int> refused{0};
    const auto worker = [&](std::size_t shards) {
        return std::jthread{[&, shards, options = model.place.options()](const std::stop_token& stop) {
            Connection connection{model.place.address};
            const auto work = [&](std::size_t shard, const Lease& lease, const std::stop_token& until) {
                Connection own{model.place.address};
                Checkpoint checkpoint{own, "fold/" + std::to_string(shard), lease};
                Effects effects{own, model.place.schema};
                escqrs::Projection projection{store, checkpoint, effects, Shard::options(shard, shards)};
                if (shard != 0) return projection.run(until);
                while (!until.stop_requested()) { // lags behind the others
                    effects.left = 5;
                    effects.stop = std::stop_source{};
                    projection.catch_up(effects.stop.get_token());
                    std::this_thread::sleep_for(5ms);
                }
            };
            try {
                run_sharded(connection, "model", shards, stop, work, options);
            } catch (const ShardCountMismatch&) {
                ++refused;
            }
        }};
    };
    Accounts accounts{store};
    const auto all_handled = [&] { return model.handled() >= accounts.events(); };
    std::vector<std::jthread> workers;
    for (int count = 0; count < 2; ++count) workers.push_back(worker(4));
    accounts.deposit(10);
    REQUIRE(comes_true([&] { return model.handled() > 50; }));
    workers.push_back(worker(6));
    REQUIRE(comes_true([&] { return refused == 1; }));
    accounts.deposit(10);

    reshard(model.connection, "model", 6, model.place.schema);
    const auto handled = model.handled();
    CHECK(comes_true([&] { return refused == 3; }));
    CHECK(model.handled() == handled); // by no worker, since
    for (int count = 0; count < 2; ++count) workers.push_back(worker(6));
    accounts.deposit(5);
    CHECK(comes_true(all_handled));
    CHECK(refused == 3);
    for (auto& thread : workers) thread.request_stop();
    workers.clear();
    CHECK(model.handled() == accounts.events());
    CHECK(model.wrong() == 0);
}

TEST_CASE("a worker that was paused while the number of shards changed writes nothing when it wakes")
{
    Model model;
    Store store;
    Accounts accounts{store};
    accounts.deposit(2);
    claim(model, 4);
    Shard before{model, store, 3, 4};
    before.projection.catch_up();
    accounts.deposit(2);
    const auto handled = model.handled();
    Connection elsewhere{model.place.address};
    reshard(elsewhere, "model", 2, model.place.schema);
    CHECK_THROWS_AS(before.projection.catch_up(), LeaseLost);
    reshard(elsewhere, "model", 2, model.place.schema); // as it is
    CHECK_THROWS_AS(before.projection.catch_up(), LeaseLost);
    CHECK(model.handled() == handled);
    for (const std::size_t shard : {0U, 1U}) Shard{model, store, shard, 2}.projection.catch_up();
    CHECK(model.handled() == accounts.events());
    CHECK(model.wrong() == 0);
}

TEST_CASE(
    "what is new to the shard that a stream was in is no replay to its next one, though others had replayed as much")
{
    Model model;
    Store store;
    Accounts accounts{store};
    claim(model, 2);
    accounts.deposit(2);
    for (const std::size_t shard : {0U, 1U}) Shard{model, store, shard, 2}.projection.catch_up();
    accounts.deposit(2);
    {
        Shard first{model, store, 0, 2};
        first.projection.catch_up();
        first.projection.restart();
        first.projection.catch_up();
    }
    const auto handled = model.handled();
    const auto replayed = model.number("SELECT count(*) FROM {s}.effects WHERE is_replay");
    CHECK(replayed > 0);
    reshard(model.connection, "model", 3, model.place.schema);
    for (const std::size_t shard : {0U, 1U, 2U}) Shard{model, store, shard, 3}.projection.catch_up();
    CHECK(model.handled() - replayed == accounts.events());
    CHECK(model.handled() > handled);
    CHECK(model.number("SELECT count(*) FROM {s}.effects WHERE is_replay") == replayed);
}

TEST_CASE("what is parked goes with its stream, and can be replayed before its new shard has caught up")
{
    Model model;
    Store store;
    Accounts accounts{store};
    constexpr std::int64_t poison = 13;
    claim(model, 2);
    accounts.deposit(2);
    for (const std::size_t shard : {0U, 1U}) Shard{model, store, shard, 2}.projection.catch_up();
    accounts.deposit(1, poison);
    accounts.deposit(3);
    {
        Shard ahead{model, store, 1, 2};
        ahead.effects.poison = poison;
        ahead.projection.catch_up();
        REQUIRE_FALSE(ahead.projection.parked().empty());
    }
    reshard(model.connection, "model", 3, model.place.schema);
    for (const std::size_t shard : {0U, 1U, 2U}) {
        Shard worker{model, store, shard, 3};
        for (const auto& parked : worker.projection.parked()) CHECK(worker.projection.replay(parked.stream));
        worker.projection.catch_up();
    }
    CHECK(model.number("SELECT count(*) FROM {s}.parked_streams") == 0);
    CHECK(model.handled() == accounts.events());
    CHECK(model.wrong() == 0);
}

TEST_CASE("what cannot be divided exactly is refused, and nothing changes")
{
    Model model;
    Store store;
    Accounts accounts{store};
    claim(model, 2);
    const auto reshard_to = [&](std::size_t shards) { reshard(model.connection, "model", shards, model.place.schema); };
    const auto still_has = [&](std::int64_t shards) {
        return model.number("SELECT shards FROM {s}.leases WHERE name = 'model/0'") == shards &&
               model.number("SELECT count(*) FROM {s}.checkpoints") == shards;
    };
    accounts.deposit(3);
    for (const std::size_t shard : {0U, 1U}) Shard{model, store, shard, 2}.projection.catch_up();
    CHECK_THROWS_WITH(reshard_to(0), "option shards: expected at least 1, found 0");

    Shard{model, store, 1, 2}.projection.restart();
    CHECK_THROWS_WITH(reshard_to(3),
                      Catch::Contains("shards of 'model': cannot become 3 instead of 2: checkpoint 'fold/1' is "
                                      "being rebuilt; expected position 60 or more, found 0"));
    Shard{model, store, 1, 2}.projection.catch_up();
    CHECK(still_has(2));

    accounts.deposit(1);
    Shard{model, store, 0, 2}.projection.catch_up();
    reshard_to(3);
    CHECK(still_has(3));
    CHECK_THROWS_WITH(reshard_to(2),
                      Catch::Contains("checkpoint 'fold/0' is still taking over from the shards before"));
    CHECK_THROWS_WITH((Shard{model, store, 2, 3}.projection.restart()),
                      Catch::Contains("checkpoint 'fold/2': cannot be restarted before position 80"));
    CHECK(still_has(3));
    for (const std::size_t shard : {0U, 1U, 2U}) Shard{model, store, shard, 3}.projection.catch_up();
    {
        Shard last{model, store, 2, 3};
        last.projection.restart();
        last.projection.catch_up();
    }
    const auto set_log = [&](const std::string& log) {
        model.connection.execute(
            with_schema("UPDATE {s}.checkpoints SET log = " + log + " WHERE name = 'fold/1'", model.place.schema));
    };
    set_log("'00000000-0000-4000-8000-000000000001'");
    CHECK_THROWS_WITH(reshard_to(2), Catch::Contains("checkpoint 'fold/1': expected log "));
    set_log("(SELECT log FROM {s}.checkpoints WHERE name = 'fold/0')");
    Lease lease{model.connection, "model/1", model.place.options()};
    const Checkpoint odd{model.connection, "total", lease};
    CHECK_THROWS_WITH(reshard_to(2),
                      Catch::Contains("expected the name of shard 1's checkpoint to end in that number, found "
                                      "'total'"));
    CHECK(model.number("SELECT shards FROM {s}.leases WHERE name = 'model/0'") == 3);
}

TEST_CASE("a shard cannot work with the checkpoint of another")
{
    Model model;
    const auto work = [&](std::size_t, const Lease& lease, const std::stop_token& stop) {
        Connection own{model.place.address};
        const Checkpoint checkpoint{own, "fold", lease};
        while (!stop.stop_requested()) std::this_thread::sleep_for(2ms);
    };
    CHECK_THROWS_WITH(run_sharded(model.connection, "model", 2, {}, work, model.place.options()),
                      Catch::Contains("checkpoint 'fold': expected one of its own for shard 'model/"));
}
