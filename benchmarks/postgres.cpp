// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// The PostgreSQL event store against libpq by hand, on its own server (in the temporary folder: a real disk):
//
// postgres_append/   from 1, 8, 32 and 64 threads
//                    escqrs   one store, shared by all: appends that wait go out together
//                    apart    a store for each, as in separate processes
//                    naive    a connection for each, a prepared INSERT … RETURNING of the same row
// postgres_batch/    appends of 10 and of 100 events, against one INSERT … SELECT FROM unnest(…)
// postgres_replay/   the whole log, against COPY (SELECT …) TO STDOUT BINARY of the same columns, thrown away;
//                    a stream of 10,000 events, against its SELECT in binary format, thrown away
// postgres_lag/      from before an append until a reader with its own store has seen it, 200 appends a second, with
//                    NOTIFY and without
#include "support/payload.hpp"
#include "support/producers.hpp"

#include <escqrs/postgres/event_store.hpp>

#include "postgres/server.hpp"

#include <algorithm>
#include <chrono>
#include <limits>
#include <memory>
#include <stdexcept>
#include <thread>

namespace {

using namespace benchmarks;
namespace postgres = escqrs::postgres;

const std::string& address()
{
    static const std::string server = postgres_test::Server::shared().address();
    return server;
}

/// Appends once to each stream that the producers will use, so that all are there, as in the table by hand.
template <class Append>
void append_to_all(Append append)
{
    for (std::size_t producer = 0; producer < most_producers; ++producer) {
        for (std::size_t count = 0; count < streams_per_producer; ++count)
            append(producer, producer * streams_per_producer + count);
    }
}

void by_producers(benchmark::internal::Benchmark* append)
{
    append->UseRealTime()->Threads(1)->Threads(8)->Threads(32)->Threads(64);
}

void append_shared(benchmark::State& state)
{
    static const auto store = [] {
        auto created = std::make_unique<postgres::EventStore>(address());
        append_to_all([&](std::size_t, std::size_t stream) { append_to(*created, stream); });
        return created;
    }();
    produce(state, [](std::size_t, std::size_t stream) { append_to(*store, stream); });
}

void append_apart(benchmark::State& state)
{
    constexpr std::size_t other_streams = 1'000'000;
    static const auto stores = [] {
        std::vector<std::unique_ptr<postgres::EventStore>> created;
        while (created.size() < most_producers) {
            created.push_back(
                std::make_unique<postgres::EventStore>(address(), postgres::EventStoreOptions{.notifies = false}));
        }
        append_to_all(
            [&](std::size_t producer, std::size_t stream) { append_to(*created[producer], other_streams + stream); });
        return created;
    }();
    produce(state,
            [](std::size_t producer, std::size_t stream) { append_to(*stores[producer], other_streams + stream); });
}

/// The event store's table of events, with its indexes, filled by what a first attempt would do.
class NaiveTable {
public:
    explicit NaiveTable() : connection_{address()} {}

    static void create()
    {
        const postgres::EventStore store{address()}; // whose table is copied
        postgres::Connection connection{address()};
        connection.execute("CREATE SCHEMA naive; CREATE TABLE naive.events (LIKE escqrs.events INCLUDING INDEXES);"
                           "ALTER TABLE naive.events ALTER position ADD GENERATED ALWAYS AS IDENTITY");
    }
    void insert(std::size_t stream)
    {
        if (stream >= versions_.size()) versions_.resize(stream + 1);
        const auto rows = insert_.query(stream, ++versions_[stream], escqrs::Timestamp{}, escqrs::time_ordered_uuid(),
                                        bytes(metadata), bytes(payload));
        if (rows.size() != 1) throw std::runtime_error{"no row was inserted"};
    }

private:
    postgres::Connection connection_;
    std::vector<std::uint64_t> versions_;
    postgres::Statement insert_{connection_,
                                "INSERT INTO naive.events (stream, version, recorded_at, index_in_append, kind, "
                                "id, metadata, payload) VALUES ($1, $2, $3, 0, 1, $4, $5, $6) "
                                "RETURNING position"};
};

std::vector<std::unique_ptr<NaiveTable>>& naive_tables()
{
    static auto tables = [] {
        NaiveTable::create();
        std::vector<std::unique_ptr<NaiveTable>> created;
        while (created.size() < most_producers) created.push_back(std::make_unique<NaiveTable>());
        return created;
    }();
    return tables;
}

void append_naive(benchmark::State& state)
{
    auto& tables = naive_tables();
    produce(state, [&](std::size_t producer, std::size_t stream) { tables[producer]->insert(stream); });
}

BENCHMARK(append_shared)->Name("postgres_append/escqrs")->Apply(by_producers);
BENCHMARK(append_apart)->Name("postgres_append/apart")->Apply(by_producers);
BENCHMARK(append_naive)->Name("postgres_append/naive")->Apply(by_producers);

void batch_escqrs(benchmark::State& state)
{
    static postgres::EventStore store{address()};
    constexpr std::uint64_t own_streams = 2'000'000;
    std::uint64_t count = 0;
    for ([[maybe_unused]] const auto _ : state)
        append_to(store, own_streams + count++ % streams_per_producer, static_cast<std::size_t>(state.range(0)));
    state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(batch_escqrs)->Name("postgres_batch/escqrs")->Arg(10)->Arg(100)->UseRealTime();

/// The rows of one append by one statement, from arrays.
void batch_unnest(benchmark::State& state)
{
    using postgres::detail::ArrayValue;
    naive_tables();
    static postgres::Connection connection{address()};
    static postgres::Statement insert{
        connection,
        "INSERT INTO naive.events (stream, version, recorded_at, index_in_append, kind, id, metadata, payload) "
        "SELECT $1, version, $2, version - $3, 1, id, metadata, payload FROM "
        "unnest($4::bigint[], $5::uuid[], $6::bytea[], $7::bytea[]) AS given (version, id, metadata, payload) "
        "RETURNING position"};
    static std::vector<std::uint64_t> versions(streams_per_producer);
    std::size_t count = 0;
    for ([[maybe_unused]] const auto _ : state) {
        const std::size_t stream = count++ % streams_per_producer;
        ArrayValue numbers{postgres::detail::type_of(std::int64_t{})};
        ArrayValue ids{postgres::detail::type_of(escqrs::Uuid{})};
        ArrayValue metadata_array{postgres::detail::type_of(bytes(metadata))};
        ArrayValue payloads{postgres::detail::type_of(bytes(payload))};
        const std::uint64_t first = versions[stream] + 1;
        for (std::int64_t index = 0; index < state.range(0); ++index) {
            numbers.push(static_cast<std::int64_t>(++versions[stream]));
            ids.push(escqrs::time_ordered_uuid());
            metadata_array.push(bytes(metadata));
            payloads.push(bytes(payload));
        }
        const auto rows =
            insert.query(3'000'000 + stream, escqrs::Timestamp{}, first, numbers, ids, metadata_array, payloads);
        if (rows.size() != static_cast<std::size_t>(state.range(0))) state.SkipWithError("rows are missing");
    }
    state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(batch_unnest)->Name("postgres_batch/unnest")->Arg(10)->Arg(100)->UseRealTime();

constexpr std::uint64_t long_stream = 1'000'000;
constexpr std::size_t long_stream_events = 10'000;
constexpr std::size_t log_events = 200'000;

/// A log with a long stream at its end, in its own schema.
postgres::EventStore& filled_log()
{
    static const auto log = [] {
        auto store = std::make_unique<postgres::EventStore>(address(), postgres::EventStoreOptions{.schema = "replay"});
        for (std::size_t part = 0; part < (log_events - long_stream_events) / 1000; ++part)
            append_to(*store, part % 200, 1000);
        for (std::size_t part = 0; part < long_stream_events / 1000; ++part) append_to(*store, long_stream, 1000);
        postgres::Connection connection{address()};
        connection.execute("VACUUM ANALYZE replay.events");
        connection.execute("VACUUM ANALYZE replay.streams");
        return store;
    }();
    return *log;
}

/// Runs `read()`, which returns how many events it has seen.
template <class Read>
void replay(benchmark::State& state, std::size_t count, Read read)
{
    for ([[maybe_unused]] const auto _ : state) {
        if (read() != count) state.SkipWithError("events are missing");
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(count));
}

void replay_log(benchmark::State& state)
{
    replay(state, log_events, [&log = filled_log()] {
        std::size_t seen = 0;
        log.read_log({}, std::numeric_limits<std::size_t>::max(), [&](const escqrs::RecordedEvent& event) {
            seen += event.payload.empty() ? 0U : 1U;
            return true;
        });
        return seen;
    });
}
BENCHMARK(replay_log)->Name("postgres_replay/log/escqrs")->UseRealTime();

/// Reads what a query copies, and throws it away.
std::size_t copied_rows(postgres::Connection& connection, const std::string& query)
{
    connection.check(PQexec(connection.handle(), ("COPY (" + query + ") TO STDOUT (FORMAT binary)").c_str()), query);
    std::size_t rows = 0;
    char* data = nullptr;
    while (PQgetCopyData(connection.handle(), &data, 0) > 0) {
        ++rows;
        PQfreemem(data);
    }
    while (PGresult* const result = PQgetResult(connection.handle())) PQclear(result);
    return rows - 1; // the last is the end
}

void replay_log_copy(benchmark::State& state)
{
    filled_log();
    postgres::Connection connection{address()};
    replay(state, log_events, [&] {
        return copied_rows(connection,
                           "SELECT position, version, recorded_at, e.id, kind, metadata, payload, name FROM "
                           "replay.events e JOIN replay.streams s ON s.id = e.stream ORDER BY position");
    });
}
BENCHMARK(replay_log_copy)->Name("postgres_replay/log/copy")->UseRealTime();

void replay_stream(benchmark::State& state)
{
    replay(state, long_stream_events, [&log = filled_log()] {
        std::size_t seen = 0;
        log.read_stream(stream_id(long_stream), escqrs::StreamVersion{1}, [&](const escqrs::RecordedEvent& event) {
            seen += event.payload.empty() ? 0U : 1U;
            return true;
        });
        return seen;
    });
}
BENCHMARK(replay_stream)->Name("postgres_replay/stream/escqrs")->UseRealTime();

void replay_stream_libpq(benchmark::State& state)
{
    filled_log();
    postgres::Connection connection{address()};
    postgres::Statement select{connection,
                               "SELECT position, version, recorded_at, id, kind, metadata, payload FROM "
                               "replay.events WHERE stream = (SELECT id FROM replay.streams WHERE name = $1) "
                               "ORDER BY version"};
    replay(state, long_stream_events, [&] { return select.query(stream_id(long_stream).text()).size(); });
}
BENCHMARK(replay_stream_libpq)->Name("postgres_replay/stream/libpq")->UseRealTime();

void lag(benchmark::State& state)
{
    using Clock = std::chrono::steady_clock;
    constexpr std::size_t appends = 600;
    const bool notifies = state.range(0) != 0;
    const postgres::EventStoreOptions options{.schema = notifies ? "lag" : "lag_without", .notifies = notifies};
    postgres::EventStore writer{address(), options};
    postgres::EventStore reader{address(), options};
    for ([[maybe_unused]] const auto _ : state) {
        std::vector<Clock::time_point> sent(appends);
        std::vector<double> lags;
        escqrs::GlobalPosition position = writer.head();
        std::jthread reading{[&] {
            while (lags.size() < appends) {
                if (!reader.wait_for_events(position, std::chrono::seconds{1}, {})) continue;
                position = reader.read_log(position, 1000, [&](const escqrs::RecordedEvent&) {
                    const std::chrono::duration<double, std::milli> lag = Clock::now() - sent[lags.size()];
                    lags.push_back(lag.count());
                    return true;
                });
            }
        }};
        for (std::size_t count = 0; count < appends; ++count) {
            std::this_thread::sleep_for(std::chrono::milliseconds{5});
            sent[count] = Clock::now();
            append_to(writer, 1);
        }
        reading.join();
        std::ranges::sort(lags);
        state.counters["p50_ms"] = lags[appends / 2];
        state.counters["p99_ms"] = lags[appends * 99 / 100];
    }
}
BENCHMARK(lag)->Name("postgres_lag/notify")->Arg(1)->Iterations(1)->UseRealTime();
BENCHMARK(lag)->Name("postgres_lag/poll")->Arg(0)->Iterations(1)->UseRealTime();

} // namespace

int main(int argc, char** argv)
{
    benchmark::Initialize(&argc, argv);
    address(); // by the main thread, for the server ends with the thread that has started it
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
