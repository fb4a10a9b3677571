// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// sqlite_append/rocksdb   what the contestants of sqlite.cpp do, by a log-structured store: durable appends from 1, 8 and
//                         32 threads, each with its own key (stream, version); it writes waiting ones together
//
// The files are in the folder ESCQRS_BENCHMARK_FOLDER, or else in the current one: a real disk.
#include "support/folder.hpp"
#include "support/payload.hpp"
#include "support/producers.hpp"

#include <rocksdb/db.h>

#include <array>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

namespace {

using namespace benchmarks;

void check(const rocksdb::Status& status)
{
    if (!status.ok()) throw std::runtime_error{status.ToString()};
}

/// Streams' events by key; versions are counted in memory, and nothing is checked.
class Events {
public:
    explicit Events(const std::string& path)
    {
        rocksdb::Options options;
        options.create_if_missing = true;
        rocksdb::DB* database = nullptr;
        check(rocksdb::DB::Open(options, path, &database));
        database_.reset(database);
    }

    void append(std::size_t stream)
    {
        const escqrs::Uuid id = escqrs::time_ordered_uuid();
        const std::string value = std::string{id.begin(), id.end()} + metadata + payload;
        rocksdb::WriteOptions durable;
        durable.sync = true;
        check(database_->Put(durable, key(stream, ++versions_.at(stream)), value));
    }

private:
    /// In the order of streams and their versions.
    static std::string key(std::uint64_t stream, std::uint64_t version)
    {
        std::string bytes;
        for (const std::uint64_t number : {stream, version}) {
            for (int shift = 56; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(number >> shift));
        }
        return bytes;
    }

    std::unique_ptr<rocksdb::DB> database_;
    std::array<std::uint64_t, most_producers * streams_per_producer> versions_{}; // each counted by its producer alone
};

void append_rocksdb(benchmark::State& state)
{
    static Events events{folder() + "/rocksdb"};
    produce(state, [](std::size_t, std::size_t stream) { events.append(stream); });
}
BENCHMARK(append_rocksdb)->Name("sqlite_append/rocksdb")->UseRealTime()->Threads(1)->Threads(8)->Threads(32);

} // namespace

BENCHMARK_MAIN();
