// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/sqlite/event_store.hpp>

#include <escqrs/testing/event_store_conformance.hpp>

#include "support/temporary_folder.hpp"

#include <atomic>
#include <csignal>
#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

std::atomic<std::size_t> disk_syncs{0};

} // namespace

// SQLite's calls of these come here, since the program's own functions go before those of its libraries.
extern "C" int fdatasync(int file)
{
    ++disk_syncs;
    return static_cast<int>(::syscall(SYS_fdatasync, file));
}
extern "C" int fsync(int file)
{
    ++disk_syncs;
    return static_cast<int>(::syscall(SYS_fsync, file));
}

namespace {

namespace sqlite = escqrs::sqlite;
using escqrs::ExpectedVersion;
using escqrs::GlobalPosition;
using escqrs::RecordedEvent;
using escqrs::StoreError;
using escqrs::StreamVersion;
using namespace escqrs::testing::detail;

struct Fixture {
    static constexpr bool is_durable = true;

    std::unique_ptr<sqlite::EventStore> open(escqrs::Clock& clock)
    {
        options.clock = &clock;
        return std::make_unique<sqlite::EventStore>(path, options);
    }

    TemporaryFolder folder;
    std::string path = folder.file("events.db");
    sqlite::EventStoreOptions options;
};

} // namespace

TEST_CASE("an SQLite file is an event store")
{
    Fixture fixture;
    escqrs::testing::event_store_conformance(fixture);
}

TEST_CASE("an SQLite file with synchronous NORMAL and one reader is an event store")
{
    Fixture fixture;
    fixture.options.synchronous = sqlite::Synchronous::normal;
    fixture.options.max_readers = 1;
    escqrs::testing::event_store_conformance(fixture);
}

TEST_CASE("an event store opens nothing but event stores")
{
    const TemporaryFolder folder;
    const std::string path = folder.file("some.db");

    SECTION("another program's database")
    {
        sqlite::Database{path}.execute("CREATE TABLE other (a); INSERT INTO other VALUES (1)");
        const auto before = read_file(path);
        CHECK_THROWS_AS(sqlite::EventStore{path}, StoreError);
        CHECK_THROWS_WITH(sqlite::EventStore{path},
                          Catch::Contains(path) && Catch::Contains("not an escqrs event store"));
        CHECK((read_file(path) == before));
    }

    SECTION("a newer one")
    {
        {
            const sqlite::EventStore store{path};
        }
        sqlite::Database{path}.execute("PRAGMA user_version = 4");
        const auto before = read_file(path);
        CHECK_THROWS_WITH(sqlite::EventStore{path}, Catch::Contains("expected version 3, found 4"));
        CHECK((read_file(path) == before));
    }

    SECTION("no folder for it") { CHECK_THROWS_AS(sqlite::EventStore{folder.file("none") + "/some.db"}, StoreError); }

    SECTION("memory, which its connections could not share")
    {
        CHECK_THROWS_AS(sqlite::EventStore{":memory:"}, StoreError);
        CHECK_THROWS_AS(sqlite::EventStore{""}, StoreError);
    }
}

TEST_CASE("an SQLite event store refuses options that it cannot work with, by name, and has as many readers as it may")
{
    const TemporaryFolder folder;
    const std::string path = folder.file("events.db");
    const auto open = [&](const sqlite::EventStoreOptions& options) {
        sqlite::EventStore store{path, options};
        return store.head();
    };
    CHECK_THROWS_WITH(open({.max_readers = 0}), Catch::Contains("option max_readers: expected at least 1, found 0"));
    CHECK_THROWS_WITH(open({.poll_interval = escqrs::Duration{0}}), Catch::Contains("option poll_interval: expected"));
    CHECK_THROWS_WITH(open({.busy_timeout = escqrs::Duration{-1}}), Catch::Contains("option busy_timeout: expected"));
    CHECK_THROWS_WITH(open({.clock = nullptr}), Catch::Contains("option clock: expected one, found none"));
    CHECK(open({.max_readers = std::numeric_limits<std::size_t>::max()}) == GlobalPosition{});
    CHECK(open({.busy_timeout = escqrs::Duration::max()}) == GlobalPosition{});
    sqlite::Database database{folder.file("any.db")};
    CHECK_THROWS_AS((sqlite::GroupCommit{database, 0}), escqrs::InvalidOption);
}

TEST_CASE("a file's log has its own id, which a copy of the file keeps")
{
    const TemporaryFolder folder;
    const escqrs::LogId id = sqlite::EventStore{folder.file("one.db")}.log_id();
    CHECK(sqlite::EventStore{folder.file("other.db")}.log_id() != id);
    std::filesystem::copy_file(folder.file("one.db"), folder.file("copy.db"));
    CHECK(sqlite::EventStore{folder.file("copy.db")}.log_id() == id);
    CHECK(to_string(id)[14] == '4'); // a random UUID, RFC 9562
}

TEST_CASE("an acknowledged append has been forced to disk, unless that was not asked for")
{
    // FULL has SQLite sync the write-ahead log within each commit; what the log then holds is what recovery after a power
    // cut finds. That it is asked for (PRAGMA synchronous = 2) is tested with Database, that it happens, here.
    Fixture fixture;
    escqrs::SystemClock clock;
    const auto syncs_of = [&](std::size_t appends) {
        const auto store = fixture.open(clock);
        append_some(*store, sample_stream(), 1);
        const auto before = disk_syncs.load();
        for (std::size_t count = 0; count < appends; ++count) append_some(*store, sample_stream(), 2);
        return disk_syncs - before;
    };
    CHECK(sqlite::EventStoreOptions{}.synchronous == sqlite::Synchronous::full);
    CHECK(syncs_of(20) >= 20);
    fixture.options.synchronous = sqlite::Synchronous::normal;
    CHECK(syncs_of(20) == 0);
}

TEST_CASE("stored events are neither changed nor deleted through SQL")
{
    Fixture fixture;
    escqrs::SystemClock clock;
    const auto store = fixture.open(clock);
    append_some(*store, sample_stream(), 2);
    sqlite::Database intruder{fixture.path};
    CHECK_THROWS_AS(intruder.execute("DELETE FROM events WHERE version = 2"), StoreError);
    CHECK_THROWS_AS(intruder.execute("UPDATE events SET version = 3 WHERE version = 2"), StoreError);
    CHECK(version_of(*store, sample_stream()) == StreamVersion{2});
}

TEST_CASE("many stores open one new file at once")
{
    const TemporaryFolder folder;
    for (int round = 0; round < 10; ++round) {
        const std::string path = folder.file("events" + std::to_string(round) + ".db");
        const auto failures = in_threads(6, [&](std::size_t thread) {
            sqlite::EventStore store{path};
            append_some(store, sample_stream(std::to_string(thread)), 1);
        });
        CHECK(failures.empty());
        sqlite::EventStore store{path};
        CHECK(count_events(store) == 6);
    }
}

TEST_CASE("a store that another process keeps from writing says so, and works afterwards")
{
    Fixture fixture;
    fixture.options.busy_timeout = std::chrono::milliseconds{20};
    escqrs::SystemClock clock;
    const auto store = fixture.open(clock);
    append_some(*store, sample_stream(), 1);
    sqlite::Database other{fixture.path};
    {
        const sqlite::Transaction transaction{other};
        CHECK_THROWS_AS(append_some(*store, sample_stream(), 1), StoreError);
        CHECK(version_of(*store, sample_stream()) == StreamVersion{1}); // readers are not kept from anything
    }
    append_some(*store, sample_stream(), 1);
    CHECK(version_of(*store, sample_stream()) == StreamVersion{2});
}

TEST_CASE("an append for which the disk has no room stores nothing, and the store works when there is room again")
{
    Fixture fixture;
    escqrs::SystemClock clock;
    const auto store = fixture.open(clock);
    append_some(*store, sample_stream(), 1);
    std::vector<SampleEvent> large(3);
    for (auto& event : large) event.payload.resize(2'000'000);

    struct rlimit unlimited {};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &unlimited) == 0);
    struct rlimit tight = unlimited;
    tight.rlim_cur = 3'000'000;
    const auto previous = std::signal(SIGXFSZ, SIG_IGN);
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &tight) == 0);
    const auto failure = failure_of_append<StoreError>(*store, sample_stream(), ExpectedVersion::any(), large);
    // A small one still finds room.
    const auto small =
        append(*store, sample_stream(), ExpectedVersion::exactly(StreamVersion{1}), std::vector<SampleEvent>(1));
    ::setrlimit(RLIMIT_FSIZE, &unlimited);
    std::signal(SIGXFSZ, previous);

    CHECK(failure);
    CHECK(small.version == StreamVersion{2});
    CHECK(count_events(*store) == 2);
    CHECK(append(*store, sample_stream(), ExpectedVersion::exactly(StreamVersion{2}), large).version ==
          StreamVersion{5});
    CHECK(read_stream(*store, sample_stream())[4].content.payload.size() == 2'000'000);
}

TEST_CASE("a sink that never ends keeps neither writers from writing nor the write-ahead log from being reused")
{
    Fixture fixture;
    fixture.options.synchronous = sqlite::Synchronous::normal;
    escqrs::SystemClock clock;
    const auto store = fixture.open(clock);
    append_some(*store, sample_stream(), 100);
    std::vector<SampleEvent> large(1);
    large[0].payload.resize(100'000);
    store->read_stream(sample_stream(), StreamVersion{1}, [&](const RecordedEvent& event) {
        for (int count = 0; count < 5; ++count) {
            large[0].id = escqrs::EventId{escqrs::random_uuid()};
            append(*store, sample_stream("large"), ExpectedVersion::any(), large);
        }
        return event.version < StreamVersion{100};
    });
    CHECK(std::filesystem::file_size(fixture.path) > 40'000'000);
    CHECK(std::filesystem::file_size(fixture.path + "-wal") < 10'000'000);
}

TEST_CASE("readers that never rest do not keep the write-ahead log from being reused")
{
    Fixture fixture;
    fixture.options.synchronous = sqlite::Synchronous::normal;
    escqrs::SystemClock clock;
    const auto store = fixture.open(clock);
    append_some(*store, sample_stream(), 2000);
    std::atomic<bool> writing{true};
    std::vector<SampleEvent> large(1);
    large[0].payload.resize(200'000);
    const auto failures = in_threads(5, [&](std::size_t thread) {
        if (thread != 0) {
            while (writing) read_stream(*store, sample_stream());
            return;
        }
        for (int count = 0; count < 500; ++count) {
            large[0].id = escqrs::EventId{escqrs::random_uuid()};
            append(*store, sample_stream("large"), ExpectedVersion::any(), large);
        }
        writing = false;
    });
    CHECK(failures.empty());
    CHECK(std::filesystem::file_size(fixture.path + "-wal") < 90'000'000); // 100 MB were written
}
