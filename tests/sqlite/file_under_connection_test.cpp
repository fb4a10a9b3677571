// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/sqlite/checkpoint.hpp>
#include <escqrs/sqlite/event_store.hpp>
#include <escqrs/sqlite/message_queue.hpp>

#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/detail/message_queue_fixture.hpp>
#include <escqrs/testing/detail/sample_events.hpp>

#include "support/other_process.hpp"
#include "support/temporary_folder.hpp"

#include <filesystem>
#include <functional>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace escqrs::testing::detail;
using escqrs::GlobalPosition;
using escqrs::StoreError;
using escqrs::TransportError;
namespace sqlite = escqrs::sqlite;
namespace fs = std::filesystem;

constexpr const char* look = "SELECT count(*) FROM sqlite_schema";

sqlite::Database& with_table(sqlite::Database& database)
{
    database.execute("CREATE TABLE model (a INTEGER)");
    return database;
}

/// All that keeps something in a file, each with one thing that it is to keep.
struct Keepers {
    explicit Keepers(const TemporaryFolder& folder)
        : paths{folder.file("events.db"), folder.file("queue.db"), folder.file("model.db")}, store{paths[0]},
          queue{paths[1]}, model{paths[2]}
    {
    }

    void append() { append_some(store, sample_stream(), 1); }
    void send() { send_one(queue, make_message(escqrs::to_string(escqrs::random_uuid()))); }
    void save() { place.save(GlobalPosition{++saved}); }
    void apply()
    {
        auto transaction = place.begin();
        insert.run(1);
        transaction.commit(GlobalPosition{++saved});
    }
    void execute() { model.execute("INSERT INTO model VALUES (2)"); }

    std::string paths[3];
    sqlite::EventStore store;
    sqlite::MessageQueue queue;
    sqlite::Database model;
    sqlite::Checkpoint place{model, "place"};
    sqlite::Statement insert{with_table(model), "INSERT INTO model VALUES (?)"};
    std::uint64_t saved = 0;
};

void require_kept(Keepers& keepers)
{
    CHECK_NOTHROW(keepers.append());
    CHECK_NOTHROW(keepers.send());
    CHECK_NOTHROW(keepers.save());
    CHECK_NOTHROW(keepers.apply());
    CHECK_NOTHROW(keepers.execute());
}

void require_refused(Keepers& keepers)
{
    CHECK_THROWS_AS(keepers.append(), StoreError);
    CHECK_THROWS_AS(keepers.send(), TransportError);
    CHECK_THROWS_AS(keepers.save(), StoreError);
    CHECK_THROWS_AS(keepers.apply(), StoreError);
    CHECK_THROWS_AS(keepers.execute(), StoreError);
}

/// Runs `work` in a fork of this process. @return whether it came to its end, and returned true
bool in_fork(const std::function<bool()>& work)
{
    const pid_t child = ::fork();
    if (child == 0) {
        bool good = false;
        try {
            good = work();
        } catch (...) {
        }
        ::_exit(good ? 0 : 1);
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

template <class Failure>
bool is_refused(const std::function<void()>& work)
{
    try {
        work();
    } catch (const Failure& failure) {
        return std::string{failure.what()}.find("opened before this process was forked") != std::string::npos;
    }
    return false;
}

void read_whole(const std::string& path)
{
    for (const char* const suffix : {"", "-wal", "-shm"}) CHECK_FALSE(read_file(path + suffix).empty());
}

} // namespace

TEST_CASE("nothing is acknowledged once a file of the database has been deleted, moved or replaced")
{
    const TemporaryFolder folder;
    Keepers keepers{folder};
    require_kept(keepers);
    const std::string suffix = GENERATE("", "-wal", "-shm");
    const std::string what = GENERATE("deleted", "replaced");
    CAPTURE(suffix, what);
    for (const std::string& path : keepers.paths) {
        if (what == "replaced") {
            fs::copy_file(path + suffix, path + ".copy");
            fs::rename(path + ".copy", path + suffix);
        } else {
            fs::remove(path + suffix);
        }
    }
    require_refused(keepers);
    CHECK_THROWS_WITH(keepers.append(), Catch::Contains("events.db" + suffix + "' is not the file that was opened"));
    CHECK(keepers.model.query_integer("SELECT count(*) FROM model") == 2); // nothing of what was refused
}

TEST_CASE("a database that was moved away is refused, and works when it is back")
{
    const TemporaryFolder folder;
    Keepers keepers{folder};
    require_kept(keepers);
    const auto rename_all = [&](const std::string& from, const std::string& to) {
        for (const std::string& path : keepers.paths) fs::rename(path + from, path + to);
    };
    SECTION("the file")
    {
        rename_all("", ".away");
        require_refused(keepers);
        rename_all(".away", "");
    }
    SECTION("its log")
    {
        rename_all("-wal", "-wal.away");
        require_refused(keepers);
        rename_all("-wal.away", "-wal");
    }
    SECTION("the folder")
    {
        fs::rename(folder.path(), folder.path() + "-away");
        require_refused(keepers);
        fs::rename(folder.path() + "-away", folder.path());
    }
    require_kept(keepers);
    CHECK(count_events(keepers.store) == 2);
}

TEST_CASE("who waits for events of a file that is gone does not wait for ever")
{
    const TemporaryFolder folder;
    sqlite::EventStore store{folder.file("events.db")};
    append_some(store, sample_stream(), 1);
    fs::remove(folder.file("events.db"));
    CHECK_THROWS_AS(store.wait_for_events(store.head(), escqrs::Duration::max(), {}), StoreError);

    sqlite::MessageQueue queue{folder.file("queue.db")};
    fs::remove(folder.file("queue.db"));
    CHECK_THROWS_AS(queue.receive(1, std::chrono::hours{1}), TransportError);
}

TEST_CASE("a reader never reads another file than the writer writes")
{
    const TemporaryFolder folder;
    {
        sqlite::EventStore other{folder.file("other.db")};
        append_some(other, sample_stream(), 3);
    }
    sqlite::EventStore store{folder.file("events.db")};
    append_some(store, sample_stream(), 1);
    SECTION("another store in its place") { fs::rename(folder.file("other.db"), folder.file("events.db")); }
    SECTION("nothing in its place, and nothing is created")
    {
        fs::remove(folder.file("events.db"));
        CHECK_THROWS_AS(store.head(), StoreError);
        CHECK_FALSE(fs::exists(folder.file("events.db")));
    }
    CHECK_THROWS_AS(count_events(store), StoreError);
}

TEST_CASE("a relative path means the same file after a change of the working directory")
{
    const TemporaryFolder folder;
    const TemporaryFolder elsewhere;
    const fs::path before = fs::current_path();
    fs::current_path(folder.path());
    sqlite::EventStore store{"events.db"};
    sqlite::MessageQueue queue{"./queue.db"};
    fs::current_path(elsewhere.path());
    append_some(store, sample_stream(), 2);
    CHECK(count_events(store) == 2);
    send_one(queue, make_message("1"));
    CHECK(queue.receive(1, {}).size() == 1);
    CHECK(fs::is_empty(elsewhere.path()));
    fs::current_path(before);
}

TEST_CASE("a symbolic link is followed once")
{
    const TemporaryFolder folder;
    fs::create_directory(folder.file("first"));
    fs::create_directory(folder.file("second"));
    fs::create_symlink("first", folder.file("current"));
    fs::create_symlink("first/events.db", folder.file("link.db"));
    const std::string path = GENERATE("current/events.db", "link.db");
    sqlite::EventStore store{folder.file(path)};
    fs::remove(folder.file("current"));
    fs::create_symlink("second", folder.file("current"));
    append_some(store, sample_stream(), 1);
    CHECK(count_events(store) == 1);
    CHECK(fs::exists(folder.file("first/events.db-wal")));
}

TEST_CASE("what SQLite may take for memory or a URI is refused by name, and is a file where it is a path")
{
    const TemporaryFolder folder;
    const fs::path before = fs::current_path();
    fs::current_path(folder.path());
    for (const std::string path : {"", ":memory:", "file:x", "file::memory:", "file:x?mode=memory&cache=shared"}) {
        CAPTURE(path);
        CHECK_THROWS_WITH(sqlite::EventStore{path}, Catch::Contains("'" + path + "'"));
        CHECK_THROWS_AS(sqlite::EventStore{path}, StoreError);
        CHECK_THROWS_WITH(sqlite::MessageQueue{path}, Catch::Contains("'" + path + "'"));
        CHECK_THROWS_AS(sqlite::MessageQueue{path}, TransportError);
        if (path != ":memory:") CHECK_THROWS_AS(sqlite::Database{path}, StoreError);
    }
    CHECK_THROWS_AS(sqlite::Database(std::string{"a\0b", 3}), StoreError);
    CHECK(fs::is_empty(folder.path()));
    for (const std::string path : {"./:memory:", "./file:x?mode=memory"}) {
        CAPTURE(path);
        sqlite::EventStore store{path};
        append_some(store, sample_stream(), 1);
        CHECK(count_events(store) == 1);
        CHECK(fs::exists(path));
    }
    fs::current_path(before);
}

TEST_CASE("a fork of the process that opened a file is refused all use of it, and does it no harm")
{
    const TemporaryFolder folder;
    Keepers keepers{folder};
    require_kept(keepers);
    CHECK(count_events(keepers.store) == 1);

    SECTION("what the parent has open")
    {
        CHECK(in_fork([&] {
            return is_refused<StoreError>([&] { keepers.append(); }) &&
                   is_refused<StoreError>([&] { count_events(keepers.store); }) &&
                   is_refused<TransportError>([&] { keepers.send(); }) &&
                   is_refused<TransportError>([&] { (void)keepers.queue.receive(1, {}); }) &&
                   is_refused<TransportError>([&] { (void)keepers.queue.counts(); }) &&
                   is_refused<StoreError>([&] { keepers.save(); }) &&
                   is_refused<StoreError>([&] { keepers.apply(); }) &&
                   is_refused<StoreError>([&] { keepers.execute(); });
        }));
    }
    SECTION("the same file opened again, which SQLite would take for the parent's")
    {
        CHECK(in_fork([&] { return is_refused<StoreError>([&] { sqlite::EventStore{keepers.paths[0]}; }); }));
    }
    SECTION("a transaction that was begun before")
    {
        sqlite::Transaction transaction{keepers.model};
        keepers.insert.run(5);
        CHECK(in_fork([&] { return is_refused<StoreError>([&] { transaction.commit(); }); }));
        transaction.commit();
    }
    SECTION("objects of the parent that end with it")
    {
        CHECK(in_fork([&] {
            keepers.~Keepers();
            return true;
        }));
    }
    require_kept(keepers);
    CHECK(count_events(keepers.store) == 2);
}

TEST_CASE("a fork may open a file that was closed before")
{
    const TemporaryFolder folder;
    const std::string path = folder.file("events.db");
    {
        sqlite::EventStore store{path};
        append_some(store, sample_stream(), 1);
    }
    CHECK(in_fork([&] {
        sqlite::EventStore store{path};
        append_some(store, sample_stream(), 1);
        return count_events(store) == 2;
    }));
    sqlite::EventStore store{path};
    CHECK(count_events(store) == 2);
}

TEST_CASE("a process that opens and closes the files itself loses nothing to one that takes itself for the last")
{
    OtherProcess other;
    const TemporaryFolder folder;
    {
        Keepers keepers{folder};
        require_kept(keepers);
        for (const std::string& path : keepers.paths) {
            read_whole(path);
            CHECK(other.run(path, look) == SQLITE_OK);
            CHECK(fs::exists(path + "-wal")); // it was not the last one
        }
        require_kept(keepers);
        for (const std::string& path : keepers.paths) CHECK(other.run(path, look) == SQLITE_OK);
        CHECK(count_events(keepers.store) == 2);
        CHECK(keepers.queue.counts().active == 2);
        CHECK(keepers.place.load() == GlobalPosition{4});
    }
    for (const char* const name : {"events.db", "queue.db", "model.db"}) {
        CHECK_FALSE(fs::exists(folder.file(name) + "-wal")); // the last one moves the log into the file
    }
    sqlite::EventStore store{folder.file("events.db")};
    CHECK(count_events(store) == 2);
}

TEST_CASE("a transaction that lost its write lock to another process is refused")
{
    OtherProcess other;
    const TemporaryFolder folder;
    sqlite::Database model{folder.file("model.db")};
    model.execute("CREATE TABLE model (a INTEGER)");
    sqlite::Checkpoint place{model, "place"};
    {
        auto transaction = place.begin();
        model.execute("INSERT INTO model VALUES (1)");
        read_whole(model.path());
        const bool is_overtaken = GENERATE(false, true);
        if (is_overtaken) CHECK(other.run(model.path(), "INSERT INTO model VALUES (2), (3)") == SQLITE_OK);
        CHECK_THROWS_WITH(transaction.commit(GlobalPosition{1}), Catch::Contains("lost its write lock"));
        CHECK(model.query_integer("SELECT count(*) FROM model") == (is_overtaken ? 2 : 0));
    }
    place.save(GlobalPosition{2});
    CHECK(place.load() == GlobalPosition{2});
}

TEST_CASE("no other process that uses this library writes while one has lost its write lock")
{
    OtherProcess other;
    const TemporaryFolder folder;
    sqlite::Database database{folder.file("x.db")};
    database.execute("CREATE TABLE t (a)");
    {
        const sqlite::Transaction transaction{database};
        database.execute("INSERT INTO t VALUES (1)");
        read_whole(database.path());
        CHECK(other.write(database.path(), "INSERT INTO t VALUES (2)") == SQLITE_BUSY);
    }
    CHECK(other.write(database.path(), "INSERT INTO t VALUES (2)") == SQLITE_OK);
    CHECK(database.query_integer("SELECT sum(a) FROM t") == 2);
    {
        sqlite::Transaction transaction{database};
        database.execute("INSERT INTO t VALUES (3)");
        CHECK_THROWS_AS(sqlite::Transaction{database}, StoreError); // it has its turn already, and keeps it
        CHECK(other.write(database.path(), "INSERT INTO t VALUES (2)") == SQLITE_BUSY);
        transaction.commit();
    }
    CHECK(other.write(database.path(), "INSERT INTO t VALUES (4)") == SQLITE_OK);
    CHECK(database.query_integer("SELECT sum(a) FROM t") == 9);
}

TEST_CASE("closing a database leaves the locks of others in this process alone")
{
    OtherProcess other;
    const TemporaryFolder folder;
    const std::string path = folder.file("x.db");
    {
        sqlite::Database create{path};
        create.execute("CREATE TABLE t (a)");
    }
    sqlite3* own = nullptr;
    REQUIRE(sqlite3_open(path.c_str(), &own) == SQLITE_OK);
    for (int round = 0; round < 2; ++round) {
        REQUIRE(sqlite3_exec(own, "BEGIN IMMEDIATE; INSERT INTO t VALUES (1)", nullptr, nullptr, nullptr) == SQLITE_OK);
        {
            sqlite::Database database{path};
            CHECK(database.query_integer("SELECT count(*) FROM t") == round);
        }
        CHECK(other.run(path, "INSERT INTO t VALUES (2)") == SQLITE_BUSY);
        CHECK(sqlite3_exec(own, "COMMIT", nullptr, nullptr, nullptr) == SQLITE_OK);
        CHECK(other.run(path, look) == SQLITE_OK);
        CHECK(fs::exists(path + "-wal"));
    }
    sqlite3_close(own);
}

TEST_CASE("no process commits while the log is moved into the file")
{
    OtherProcess other;
    const TemporaryFolder folder;
    sqlite::Database database{folder.file("x.db"), {.busy_timeout = std::chrono::milliseconds{1}}};
    database.execute("CREATE TABLE t (a)");
    sqlite::detail::FileHold hold{database.path()};
    hold.lock();
    {
        const sqlite::detail::LogLock lock{hold, 1};
        REQUIRE(static_cast<bool>(lock));
        CHECK_THROWS_AS(database.execute("INSERT INTO t VALUES (1)"), StoreError);
        CHECK(other.run(database.path(), "INSERT INTO t VALUES (1)") == SQLITE_BUSY);
        CHECK(other.write(database.path(), "INSERT INTO t VALUES (1)") == SQLITE_BUSY);
        sqlite::detail::FileHold second{database.path()};
        second.lock();
        CHECK_FALSE(static_cast<bool>(sqlite::detail::LogLock{second, 1}));
    }
    {
        const sqlite::Transaction transaction{database};
        CHECK_FALSE(static_cast<bool>(sqlite::detail::LogLock{hold, 1}));
    }
    CHECK(static_cast<bool>(sqlite::detail::LogLock{hold, 1}));
    hold.unlock();
}
