// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// The PostgreSQL event store beside libpq by hand, against a server of its own (in the temporary folder, which has to be on a
// real disk):
//
//   appends/s     escqrs   one store, shared by all producers: appends that wait go out together
//                 apart    a store for each producer, as in processes of their own
//                 naive    a connection for each producer: a prepared INSERT … RETURNING of the same row
//   events/s      whole log, beside COPY (SELECT …) TO STDOUT BINARY of the same columns, thrown away
//                 a stream of 10,000 events, beside its SELECT in binary format, thrown away
//   lag           from before an append to a reader with a store of its own having seen it, 200 appends a second, with
//                 NOTIFY and without
//   growth        appends and pages of the log as the store grows to --events, by tens
//
// Usage: postgres_store [--seconds-per-run 1] [--rounds 5] [--writers 1] [--events 200000] [--only appends|reads|lag|growth]
// Runs are interleaved; the figures are medians over the rounds.
#include <escqrs/id_generator.hpp>
#include <escqrs/postgres/event_store.hpp>

#include "postgres/server.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

namespace postgres = escqrs::postgres;
using escqrs::Bytes;
using Seconds = std::chrono::duration<double>;
using Clock = std::chrono::steady_clock;

constexpr std::size_t streams_per_producer = 100;
const std::string payload(200, 'p');
const std::string metadata(100, 'm');

Bytes bytes(const std::string& text) { return std::as_bytes(std::span{text}); }

double median(std::vector<double> values)
{
    std::ranges::sort(values);
    return values[values.size() / 2];
}

void append_to(postgres::EventStore& store, std::size_t stream, std::size_t count)
{
    std::vector<escqrs::NewEvent> events(count);
    for (auto& event : events) {
        event = {escqrs::EventId{escqrs::random_uuid()},
                 "SomethingHappened",
                 1,
                 "application/octet-stream",
                 bytes(payload),
                 bytes(metadata)};
    }
    store.append(escqrs::StreamId{"stream", std::to_string(stream)}, escqrs::ExpectedVersion::any(), events);
}

/// The event store's table of events, with its indexes, filled by what a first attempt would do.
class NaiveTable {
public:
    explicit NaiveTable(const std::string& address) : connection_{address} {}

    static void create(const std::string& address)
    {
        postgres::Connection connection{address};
        connection.execute("CREATE SCHEMA naive; CREATE TABLE naive.events (LIKE escqrs.events INCLUDING INDEXES);"
                           "ALTER TABLE naive.events ALTER position ADD GENERATED ALWAYS AS IDENTITY");
    }
    void insert(std::size_t stream, std::size_t version)
    {
        const auto rows =
            insert_.query(stream, version, escqrs::Timestamp{}, escqrs::random_uuid(), bytes(metadata), bytes(payload));
        if (rows.size() != 1) std::abort();
    }

private:
    postgres::Connection connection_;
    postgres::Statement insert_{connection_,
                                "INSERT INTO naive.events (stream, version, recorded_at, index_in_append, kind, "
                                "id, metadata, payload) VALUES ($1, $2, $3, 0, 1, $4, $5, $6) "
                                "RETURNING position"};
};

/// Calls `append(producer, count)` from so many threads for so long.
/// @return calls per second
double measure(std::size_t producers, Seconds duration, const std::function<void(std::size_t, std::size_t)>& append)
{
    std::atomic<bool> running{true};
    std::atomic<std::size_t> total{0};
    const auto begin = Clock::now();
    {
        std::vector<std::jthread> threads;
        for (std::size_t producer = 0; producer < producers; ++producer) {
            threads.emplace_back([&, producer] {
                std::size_t count = 0;
                for (; running; ++count) append(producer, count);
                total += count;
            });
        }
        std::this_thread::sleep_for(duration);
        running = false;
    }
    return static_cast<double>(total) / Seconds{Clock::now() - begin}.count();
}

void measure_appends(const std::string& address, std::size_t writers, Seconds duration, std::size_t rounds)
{
    constexpr std::size_t most = 64;
    postgres::EventStore store{address, {.max_writers = writers}};
    NaiveTable::create(address);
    std::vector<std::unique_ptr<postgres::EventStore>> apart;
    std::vector<std::unique_ptr<NaiveTable>> naive;
    for (std::size_t producer = 0; producer < most; ++producer) {
        apart.push_back(
            std::make_unique<postgres::EventStore>(address, postgres::EventStoreOptions{.notifies = false}));
        naive.push_back(std::make_unique<NaiveTable>(address));
    }
    for (std::size_t producer = 0; producer < most;
         ++producer) { // so that all streams are there, as in the naive table
        for (std::size_t count = 0; count < streams_per_producer; ++count) {
            append_to(store, producer * streams_per_producer + count, 1);
            append_to(*apart[producer], 1'000'000 + producer * streams_per_producer + count, 1);
        }
    }
    std::vector<std::size_t> versions(most, 0);
    const std::vector<std::function<void(std::size_t, std::size_t)>> contestants{
        [&](auto producer, auto count) {
            append_to(store, producer * streams_per_producer + count % streams_per_producer, 1);
        },
        [&](auto producer, auto count) {
            append_to(*apart[producer], 1'000'000 + producer * streams_per_producer + count % streams_per_producer, 1);
        },
        [&](auto producer, auto count) {
            naive[producer]->insert(producer * streams_per_producer + count % streams_per_producer,
                                    ++versions[producer]);
        },
    };
    for (const std::size_t producers : {std::size_t{1}, std::size_t{8}, std::size_t{32}, most}) {
        std::vector<std::vector<double>> rates(contestants.size());
        for (std::size_t round = 0; round < rounds; ++round) {
            for (std::size_t index = 0; index < contestants.size(); ++index) {
                rates[index].push_back(measure(producers, duration, contestants[index]));
            }
        }
        const double by_hand = median(rates[2]);
        std::printf("%2zu producers, appends/s:  escqrs %.0f (%.2f)  apart %.0f (%.2f)  naive %.0f\n", producers,
                    median(rates[0]), median(rates[0]) / by_hand, median(rates[1]), median(rates[1]) / by_hand,
                    by_hand);
        std::fflush(stdout);
    }
}

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

void measure_reads(const std::string& address, std::size_t events, std::size_t rounds)
{
    constexpr std::size_t long_stream = 10'000;
    postgres::EventStore store{address, {.schema = "reads"}};
    for (std::size_t part = 0; part * 1000 < events; ++part) append_to(store, part % 200, 1000);
    for (std::size_t part = 0; part < long_stream / 1000; ++part) append_to(store, 1'000'000, 1000);
    postgres::Connection connection{address};
    connection.execute("VACUUM ANALYZE reads.events");
    connection.execute("VACUUM ANALYZE reads.streams");
    postgres::Statement select{connection, "SELECT position, version, recorded_at, id, kind, metadata, payload FROM "
                                           "reads.events WHERE stream = (SELECT id FROM reads.streams WHERE name = $1) "
                                           "ORDER BY version"};
    std::size_t count = 0;
    const auto show = [&](const escqrs::RecordedEvent& event) {
        count += event.payload.empty() ? 0U : 1U;
        return true;
    };
    const std::vector<std::function<void()>> contestants{
        [&] { store.read_log({}, std::numeric_limits<std::size_t>::max(), show); },
        [&] {
            count += copied_rows(connection,
                                 "SELECT position, version, recorded_at, e.id, kind, metadata, payload, name FROM "
                                 "reads.events e JOIN reads.streams s ON s.id = e.stream ORDER BY position");
        },
        [&] {
            store.read_stream(escqrs::StreamId{"stream", "1000000"}, escqrs::StreamVersion{1}, show);
        },
        [&] { count += select.query("stream-1000000").size(); },
    };
    std::vector<std::vector<double>> rates(contestants.size());
    for (std::size_t round = 0; round < rounds; ++round) {
        for (std::size_t index = 0; index < contestants.size(); ++index) {
            count = 0;
            const auto begin = Clock::now();
            contestants[index]();
            rates[index].push_back(static_cast<double>(count) / Seconds{Clock::now() - begin}.count());
        }
    }
    std::printf("whole log, events/s:  escqrs %.0f  COPY %.0f  (%.2f)\n", median(rates[0]), median(rates[1]),
                median(rates[0]) / median(rates[1]));
    std::printf("stream of 10,000, events/s:  escqrs %.0f  libpq %.0f  (%.2f)\n", median(rates[2]), median(rates[3]),
                median(rates[2]) / median(rates[3]));
}

void measure_lag(const std::string& address, bool notifies)
{
    constexpr std::size_t appends = 600;
    const std::string schema = notifies ? "lag" : "lag_without";
    postgres::EventStore writer{address, {.schema = schema, .notifies = notifies}};
    postgres::EventStore reader{address, {.schema = schema, .notifies = notifies}};
    std::vector<Clock::time_point> sent(appends);
    std::vector<double> lags;
    std::jthread reading{[&] {
        escqrs::GlobalPosition position;
        while (lags.size() < appends) {
            if (!reader.wait_for_events(position, std::chrono::seconds{1}, {})) continue;
            position = reader.read_log(position, 1000, [&](const escqrs::RecordedEvent& event) {
                const Seconds lag = Clock::now() - sent[event.version.value() - 1];
                lags.push_back(lag.count() * 1000);
                return true;
            });
        }
    }};
    for (std::size_t count = 0; count < appends; ++count) {
        std::this_thread::sleep_for(std::chrono::milliseconds{5});
        sent[count] = Clock::now();
        append_to(writer, 1, 1);
    }
    reading.join();
    std::ranges::sort(lags);
    std::printf("lag %s NOTIFY, ms:  p50 %.2f  p99 %.2f\n", notifies ? "with" : "without", lags[appends / 2],
                lags[appends * 99 / 100]);
}

void measure_growth(const std::string& address, std::size_t events, std::size_t rounds)
{
    postgres::EventStore store{address, {.schema = "growth"}};
    std::size_t size = 0;
    for (std::size_t step = 10'000; step <= events; step *= 10) {
        for (; size < step; size += 1000) append_to(store, size / 1000 * 7919 % 100'000, 1000);
        std::vector<double> append_times;
        std::vector<double> page_times;
        const auto time_of = [](const auto& work) {
            const auto begin = Clock::now();
            work();
            return Seconds{Clock::now() - begin}.count() * 1e6;
        };
        for (std::size_t round = 0; round < 100 * rounds; ++round) {
            append_times.push_back(time_of([&] { append_to(store, round * 7919 % 100'000, 1); }));
            page_times.push_back(time_of([&] {
                store.read_log(escqrs::GlobalPosition{(round * 104'729) % step}, 500,
                               [](const escqrs::RecordedEvent&) { return true; });
            }));
        }
        std::printf("%zu events:  append %.0f us  page of 500 %.0f us\n", step, median(append_times),
                    median(page_times));
        std::fflush(stdout);
    }
}

} // namespace

int main(int argc, char** argv)
{
    double seconds = 1;
    std::size_t rounds = 5;
    std::size_t writers = 1;
    std::size_t events = 200'000;
    std::string_view only;
    for (int index = 1; index + 1 < argc; index += 2) {
        const std::string_view name = argv[index];
        if (name == "--seconds-per-run") seconds = std::atof(argv[index + 1]);
        if (name == "--rounds") rounds = static_cast<std::size_t>(std::atol(argv[index + 1]));
        if (name == "--writers") writers = static_cast<std::size_t>(std::atol(argv[index + 1]));
        if (name == "--only") only = argv[index + 1];
        if (name == "--events") events = static_cast<std::size_t>(std::atol(argv[index + 1]));
    }
    try {
        const std::string address = postgres_test::Server::shared().address();
        const auto is_wanted = [&](std::string_view part) { return only.empty() || only == part; };
        if (is_wanted("appends")) measure_appends(address, writers, Seconds{seconds}, rounds);
        if (is_wanted("reads")) measure_reads(address, events, rounds);
        if (is_wanted("lag")) measure_lag(address, true);
        if (is_wanted("lag")) measure_lag(address, false);
        if (is_wanted("growth")) measure_growth(address, events, rounds);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
    return 0;
}
