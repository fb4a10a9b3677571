// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// sqlite_append/   durable appends from 1, 8 and 32 threads, against loops written by hand:
//                  single    the same tables, a mutex around one transaction for each append
//                  grouped   the same tables, callers wait for a common transaction; no checks, versions counted in memory
//                  log       no database: callers wait for a common write and fdatasync
// sqlite_replay/   a stream of 10,000 events and a log of 1,000,000, against the same SELECT stepped through by hand
//
// The files are in the folder ESCQRS_BENCHMARK_FOLDER, or else in the current one: a real disk.
#include "support/folder.hpp"
#include "support/payload.hpp"
#include "support/producers.hpp"

#include <escqrs/sqlite/event_store.hpp>

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <functional>
#include <limits>
#include <mutex>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace {

using namespace benchmarks;
namespace sqlite = escqrs::sqlite;

/// The tables of the event store, and the least an append has to do with them.
class Tables {
public:
    explicit Tables(const std::string& path) : database_{path, sqlite::detail::event_log_schema}
    {
        database_.execute("INSERT INTO event_kinds VALUES (1, 'type', 1, 'content')");
    }

    sqlite::Database& database() { return database_; }

    void insert(std::size_t stream)
    {
        if (stream >= versions_.size()) versions_.resize(stream + 1);
        if (versions_[stream] == 0) insert_stream_.run(stream + 1, "stream-" + std::to_string(stream));
        const escqrs::Uuid id = escqrs::time_ordered_uuid();
        insert_event_.run(++position_, stream + 1, ++versions_[stream], 0, std::as_bytes(std::span{id.data}), 1, 0,
                          bytes(metadata), bytes(payload));
    }

private:
    sqlite::Database database_;
    std::vector<std::uint64_t> versions_;
    std::uint64_t position_ = 0;
    sqlite::Statement insert_stream_{database_, "INSERT INTO streams VALUES (?, ?)"};
    sqlite::Statement insert_event_{database_, "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"};
};

/// Lets one caller flush for all that wait.
class Grouper {
public:
    explicit Grouper(std::function<void(const std::vector<std::size_t>&)> flush) : flush_{std::move(flush)} {}

    void commit(std::size_t stream)
    {
        std::unique_lock lock{mutex_};
        waiting_.push_back(stream);
        const std::uint64_t mine = next_;
        done_.wait(lock, [&] { return !is_flushing_ || flushed_ > mine; });
        if (flushed_ > mine) return;
        is_flushing_ = true;
        const auto group = std::exchange(waiting_, {});
        ++next_;
        lock.unlock();
        flush_(group);
        lock.lock();
        is_flushing_ = false;
        flushed_ = mine + 1;
        lock.unlock();
        done_.notify_all();
    }

private:
    std::function<void(const std::vector<std::size_t>&)> flush_;
    std::mutex mutex_;
    std::condition_variable done_;
    std::vector<std::size_t> waiting_;
    bool is_flushing_ = false;
    std::uint64_t next_ = 0;
    std::uint64_t flushed_ = 0;
};

sqlite::EventStore& store()
{
    static sqlite::EventStore store{folder() + "/store.db"};
    return store;
}

void by_producers(benchmark::internal::Benchmark* append)
{
    append->UseRealTime()->Threads(1)->Threads(8)->Threads(32)->Threads(64);
}

void append_escqrs(benchmark::State& state)
{
    produce(state, [](std::size_t, std::size_t stream) { append_to(store(), stream); });
}
BENCHMARK(append_escqrs)->Name("sqlite_append/escqrs")->Apply(by_producers);

void append_single(benchmark::State& state)
{
    static Tables tables{folder() + "/single.db"};
    static std::mutex mutex;
    produce(state, [](std::size_t, std::size_t stream) {
        const std::scoped_lock lock{mutex};
        sqlite::Transaction transaction{tables.database()};
        tables.insert(stream);
        transaction.commit();
    });
}
BENCHMARK(append_single)->Name("sqlite_append/single")->Apply(by_producers);

void append_grouped(benchmark::State& state)
{
    static Tables tables{folder() + "/grouped.db"};
    static Grouper grouper{[](const std::vector<std::size_t>& group) {
        sqlite::Transaction transaction{tables.database()};
        for (const std::size_t stream : group) tables.insert(stream);
        transaction.commit();
    }};
    produce(state, [](std::size_t, std::size_t stream) { grouper.commit(stream); });
}
BENCHMARK(append_grouped)->Name("sqlite_append/grouped")->Apply(by_producers);

void append_log(benchmark::State& state)
{
    static const int file =
        ::open((folder() + "/log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, S_IRUSR | S_IWUSR);
    static Grouper grouper{[](const std::vector<std::size_t>& group) {
        std::string data;
        for ([[maybe_unused]] const std::size_t stream : group) {
            const escqrs::Uuid id = escqrs::time_ordered_uuid();
            data.append(reinterpret_cast<const char*>(id.data), sizeof id.data)
                .append(metadata)
                .append(payload); // NOLINT
        }
        if (::write(file, data.data(), data.size()) < 0 || ::fdatasync(file) != 0)
            throw std::system_error{errno, std::generic_category(), "log"};
    }};
    produce(state, [](std::size_t, std::size_t stream) { grouper.commit(stream); });
}
BENCHMARK(append_log)->Name("sqlite_append/log")->Apply(by_producers);

constexpr std::uint64_t long_stream = 1'000'000;
constexpr std::int64_t long_stream_events = 10'000;
constexpr std::int64_t log_events = 1'000'000;

/// A log of 1,000 streams that grew side by side, and of a long one among them.
const std::string& filled_log()
{
    static const std::string path = [] {
        std::string file = folder() + "/read.db";
        sqlite::EventStore log{file, {.synchronous = sqlite::Synchronous::normal}};
        const std::int64_t others = log_events - long_stream_events;
        for (std::int64_t part = 0; part < others / 10; ++part) {
            append_to(log, static_cast<std::uint64_t>(part % 1000), 10);
            if (part % (others / long_stream_events) == 0) append_to(log, long_stream, 10);
        }
        return file;
    }();
    return path;
}

/// Runs `read(show)`, which shows `count` events.
template <class Read>
void replay(benchmark::State& state, std::int64_t count, Read read)
{
    for ([[maybe_unused]] const auto _ : state) {
        std::int64_t seen = 0;
        read([&](escqrs::Bytes event) { seen += event.empty() ? 0 : 1; });
        if (seen != count) state.SkipWithError("events are missing");
    }
    state.SetItemsProcessed(state.iterations() * count);
}

void replay_stream(benchmark::State& state)
{
    sqlite::EventStore log{filled_log()};
    replay(state, long_stream_events, [&](auto show) {
        log.read_stream(stream_id(long_stream), escqrs::StreamVersion{1}, [&](const escqrs::RecordedEvent& event) {
            show(event.payload);
            return true;
        });
    });
}
BENCHMARK(replay_stream)->Name("sqlite_replay/stream/escqrs");

void replay_log(benchmark::State& state)
{
    sqlite::EventStore log{filled_log()};
    replay(state, log_events, [&](auto show) {
        log.read_log({}, std::numeric_limits<std::size_t>::max(), [&](const escqrs::RecordedEvent& event) {
            show(event.payload);
            return true;
        });
    });
}
BENCHMARK(replay_log)->Name("sqlite_replay/log/escqrs");

/// Steps through a statement and looks at every column.
template <class Show>
void step_through(sqlite3_stmt* statement, Show show)
{
    while (sqlite3_step(statement) == SQLITE_ROW) {
        std::int64_t sum = 0;
        for (const int column : {0, 1, 2, 3}) sum += sqlite3_column_int64(statement, column);
        for (const int column : {4, 5}) {
            benchmark::DoNotOptimize(sqlite3_column_blob(statement, column));
            sum += sqlite3_column_bytes(statement, column);
        }
        benchmark::DoNotOptimize(sum);
        const auto* const data = static_cast<const std::byte*>(sqlite3_column_blob(statement, 6));
        show(escqrs::Bytes{data, static_cast<std::size_t>(sqlite3_column_bytes(statement, 6))});
    }
    sqlite3_reset(statement);
}

/// A connection without anything of this library.
class Raw {
public:
    explicit Raw(const char* query)
    {
        if (sqlite3_open_v2(filled_log().c_str(), &database_, SQLITE_OPEN_READWRITE, nullptr) != SQLITE_OK ||
            sqlite3_prepare_v2(database_, query, -1, &statement_, nullptr) != SQLITE_OK) {
            throw std::runtime_error{sqlite3_errmsg(database_)};
        }
    }
    Raw(const Raw&) = delete;
    Raw& operator=(const Raw&) = delete;
    ~Raw()
    {
        sqlite3_finalize(statement_);
        sqlite3_close(database_);
    }
    sqlite3_stmt* statement() const { return statement_; }

private:
    sqlite3* database_ = nullptr;
    sqlite3_stmt* statement_ = nullptr;
};

void replay_stream_raw(benchmark::State& state)
{
    const Raw raw{"SELECT position, version, recorded_at, kind, id, metadata, payload FROM events WHERE stream = "
                  "(SELECT id FROM streams WHERE name = 'stream-1000000') ORDER BY version"};
    replay(state, long_stream_events, [&](auto show) { step_through(raw.statement(), show); });
}
BENCHMARK(replay_stream_raw)->Name("sqlite_replay/stream/raw");

void replay_log_raw(benchmark::State& state)
{
    const Raw raw{
        "SELECT position, version, recorded_at, kind, id, metadata, payload, stream FROM events ORDER BY position"};
    replay(state, log_events, [&](auto show) { step_through(raw.statement(), show); });
}
BENCHMARK(replay_log_raw)->Name("sqlite_replay/log/raw");

} // namespace

BENCHMARK_MAIN();
