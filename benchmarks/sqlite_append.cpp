// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Durable appends per second of the SQLite event store, beside three loops written by hand:
//
//   single    SQLite, same schema, a mutex around one transaction per append
//   grouped   SQLite, same schema, callers wait for a common transaction; no checks, versions counted in memory
//   log       no database: callers wait for a common write and fdatasync
//
// Usage: sqlite_append [--seconds-per-run 0.4] [--rounds 9] [--folder .]
// The folder has to be on a real disk. Runs are interleaved; the figures are medians over the rounds.
#include <escqrs/id_generator.hpp>
#include <escqrs/sqlite/event_store.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

namespace sqlite = escqrs::sqlite;
using escqrs::Bytes;
using Seconds = std::chrono::duration<double>;
using Clock = std::chrono::steady_clock;

constexpr std::size_t streams_per_producer = 100;
const std::string payload(200, 'p');
const std::string metadata(100, 'm');

Bytes bytes(const std::string& text) { return std::as_bytes(std::span{text}); }

struct Request {
    std::size_t stream; ///< number
    escqrs::EventId id{escqrs::random_uuid()};
};

/// The tables of the event store, and what one append at least has to do with them.
class RawTables {
public:
    explicit RawTables(const std::string& path) : database_{path, sqlite::detail::event_log_schema}
    {
        database_.execute("INSERT INTO event_kinds VALUES (1, 'type', 1, 'content')");
    }

    sqlite::Database& database() { return database_; }

    void insert(const Request& request)
    {
        if (request.stream >= versions_.size()) versions_.resize(request.stream + 1);
        if (versions_[request.stream] == 0)
            insert_stream_.run(request.stream + 1, "stream-" + std::to_string(request.stream));
        insert_event_.run(++position_, request.stream + 1, ++versions_[request.stream], 0,
                          std::as_bytes(std::span{request.id.value().data}), 1, 0, bytes(metadata), bytes(payload));
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
    explicit Grouper(std::function<void(const std::vector<const Request*>&)> flush) : flush_{std::move(flush)} {}

    void commit(const Request& request)
    {
        std::unique_lock lock{mutex_};
        waiting_.push_back(&request);
        const std::uint64_t mine = next_;
        done_.wait(lock, [&] { return !flushing_ || flushed_ > mine; });
        if (flushed_ > mine) return;
        flushing_ = true;
        const auto group = std::exchange(waiting_, {});
        ++next_;
        lock.unlock();
        flush_(group);
        lock.lock();
        flushing_ = false;
        flushed_ = mine + 1;
        lock.unlock();
        done_.notify_all();
    }

private:
    std::function<void(const std::vector<const Request*>&)> flush_;
    std::mutex mutex_;
    std::condition_variable done_;
    std::vector<const Request*> waiting_;
    bool flushing_ = false;
    std::uint64_t next_ = 0;
    std::uint64_t flushed_ = 0;
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

double median(std::vector<double> values)
{
    std::ranges::sort(values);
    return values[values.size() / 2];
}

struct Contestant {
    std::string name;
    std::function<void(std::size_t, std::size_t)> append;
};

std::size_t stream_of(std::size_t producer, std::size_t count)
{
    return producer * streams_per_producer + count % streams_per_producer;
}

void append_to(sqlite::EventStore& store, std::size_t stream, std::size_t count)
{
    const std::string_view type = "SomethingHappened";
    std::vector<escqrs::NewEvent> events(count);
    for (auto& event : events) {
        event = {escqrs::EventId{escqrs::random_uuid()},
                 type,
                 1,
                 "application/octet-stream",
                 bytes(payload),
                 bytes(metadata)};
    }
    store.append(escqrs::StreamId{"stream", std::to_string(stream)}, escqrs::ExpectedVersion::any(), events);
}

void measure_appends(const std::string& folder, Seconds duration, std::size_t rounds)
{
    sqlite::EventStore store{folder + "/store.db"};
    RawTables single{folder + "/single.db"};
    std::mutex single_mutex;
    RawTables grouped{folder + "/grouped.db"};
    Grouper grouped_commits{[&](const auto& group) {
        sqlite::Transaction transaction{grouped.database()};
        for (const Request* request : group) grouped.insert(*request);
        transaction.commit();
    }};
    const int file = ::open((folder + "/log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    Grouper log_commits{[&](const auto& group) {
        std::string data;
        for (const Request* request : group) {
            data.append(reinterpret_cast<const char*>(request->id.value().data), 16).append(metadata).append(payload);
        }
        if (::write(file, data.data(), data.size()) < 0 || ::fdatasync(file) != 0) {
            throw std::system_error{errno, std::generic_category(), "log"};
        }
    }};

    const std::vector<Contestant> contestants{
        {"escqrs", [&](auto producer, auto count) { append_to(store, stream_of(producer, count), 1); }},
        {"single",
         [&](auto producer, auto count) {
             const Request request{stream_of(producer, count)};
             const std::scoped_lock lock{single_mutex};
             sqlite::Transaction transaction{single.database()};
             single.insert(request);
             transaction.commit();
         }},
        {"grouped", [&](auto producer, auto count) { grouped_commits.commit({stream_of(producer, count)}); }},
        {"log", [&](auto producer, auto count) { log_commits.commit({stream_of(producer, count)}); }},
    };
    for (const std::size_t producers : {1U, 8U, 32U}) {
        std::vector<std::vector<double>> rates(contestants.size());
        for (std::size_t round = 0; round < rounds; ++round) {
            for (std::size_t index = 0; index < contestants.size(); ++index) {
                rates[index].push_back(measure(producers, duration, contestants[index].append));
            }
        }
        std::printf("%2zu producers, durable appends/s:", producers);
        for (std::size_t index = 0; index < contestants.size(); ++index) {
            std::printf("  %s %.0f", contestants[index].name.c_str(), median(rates[index]));
        }
        std::printf("  (escqrs/grouped %.2f)\n", median(rates[0]) / median(rates[2]));
        std::fflush(stdout);
    }
    ::close(file);
}

void measure_reads(const std::string& folder, std::size_t rounds)
{
    constexpr std::size_t streams = 2000;
    constexpr std::size_t events_per_stream = 100;
    sqlite::EventStore store{folder + "/read.db", {.synchronous = sqlite::Synchronous::normal}};
    for (std::size_t part = 0; part < 10; ++part) {
        for (std::size_t stream = 0; stream < streams; ++stream) append_to(store, stream, events_per_stream / 10);
    }
    std::vector<double> by_stream;
    std::vector<double> whole_log;
    std::size_t count = 0;
    const auto show = [&](const escqrs::RecordedEvent& event) {
        count += event.payload.empty() ? 0U : 1U;
        return true;
    };
    const auto rate_of = [&](const auto& read) {
        count = 0;
        const auto begin = Clock::now();
        read();
        return static_cast<double>(count) / Seconds{Clock::now() - begin}.count();
    };
    for (std::size_t round = 0; round < rounds; ++round) {
        by_stream.push_back(rate_of([&] {
            for (std::size_t stream = 0; stream < streams; ++stream) {
                store.read_stream(escqrs::StreamId{"stream", std::to_string(stream)}, escqrs::StreamVersion{1}, show);
            }
        }));
        whole_log.push_back(rate_of([&] { store.read_log({}, std::numeric_limits<std::size_t>::max(), show); }));
    }
    std::printf("streams of %zu events: %.0f events/s; whole log: %.0f events/s\n", events_per_stream,
                median(by_stream), median(whole_log));
}

} // namespace

int main(int argc, char** argv)
{
    double seconds = 0.4;
    std::size_t rounds = 9;
    std::string parent = ".";
    for (int index = 1; index + 1 < argc; index += 2) {
        const std::string_view name = argv[index];
        if (name == "--seconds-per-run") seconds = std::atof(argv[index + 1]);
        if (name == "--rounds") rounds = static_cast<std::size_t>(std::atol(argv[index + 1]));
        if (name == "--folder") parent = argv[index + 1];
    }
    const std::string folder = parent + "/sqlite_append." + escqrs::to_string(escqrs::random_uuid());
    std::filesystem::create_directory(folder);
    try {
        measure_appends(folder, Seconds{seconds}, rounds);
        measure_reads(folder, rounds);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        std::filesystem::remove_all(folder);
        return 1;
    }
    std::filesystem::remove_all(folder);
    return 0;
}
