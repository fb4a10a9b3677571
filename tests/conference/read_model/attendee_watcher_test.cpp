// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "read_model/attendee_watcher.hpp"
#include "read_model_fixture.hpp"

#include <escqrs/testing/catch2.hpp>

#include <sqlite3.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace conference;
using namespace conference::test;

namespace {

struct Model {
    TemporaryFolder folder;
    std::string path = folder.file("read-model.db");
    Publisher publisher{path};
    AttendeeQueries queries{path};
    AttendeeWatcher watcher{queries, std::chrono::milliseconds{1}};
    AttendeeId ada = new_attendee_id();

    Model() { publisher.publish(ada, 1, AttendeeRegistered{"ada@example.org"}); }

    void change(std::uint64_t version)
    {
        publisher.publish(ada, version, EmailChangeRequested{"v" + std::to_string(version) + "@example.org", {}});
    }
};

/// Collects what a watch tells, and waits for it.
class Seen {
public:
    AttendeeWatcher::Callback collect()
    {
        return [this](const AttendeeView& view) {
            {
                const std::scoped_lock lock{mutex_};
                views_.push_back(view);
            }
            arrived_.notify_all();
        };
    }

    bool wait_for_version(std::uint64_t version)
    {
        std::unique_lock lock{mutex_};
        return arrived_.wait_for(lock, std::chrono::seconds{20}, [&] {
            return !views_.empty() && views_.back().version == escqrs::StreamVersion{version};
        });
    }

    bool wait_for_versions(const std::vector<std::uint64_t>& expected)
    {
        std::unique_lock lock{mutex_};
        return arrived_.wait_for(lock, std::chrono::seconds{20}, [&] { return numbers() == expected; });
    }

    std::vector<std::uint64_t> versions()
    {
        const std::scoped_lock lock{mutex_};
        return numbers();
    }

private:
    std::vector<std::uint64_t> numbers() const
    {
        std::vector<std::uint64_t> numbers;
        numbers.reserve(views_.size());
        for (const auto& view : views_) numbers.push_back(view.version.value());
        return numbers;
    }

    std::mutex mutex_;
    std::condition_variable arrived_;
    std::vector<AttendeeView> views_;
};

/// As `.restore` of SQLite's shell does.
void restore(const std::string& backup, const std::string& path)
{
    sqlite3* from = nullptr;
    sqlite3* to = nullptr;
    REQUIRE(sqlite3_open(backup.c_str(), &from) == SQLITE_OK);
    REQUIRE(sqlite3_open(path.c_str(), &to) == SQLITE_OK);
    sqlite3_busy_timeout(to, 5000);
    sqlite3_backup* const copy = sqlite3_backup_init(to, "main", from, "main");
    REQUIRE(copy != nullptr);
    CHECK(sqlite3_backup_step(copy, -1) == SQLITE_DONE);
    CHECK(sqlite3_backup_finish(copy) == SQLITE_OK);
    sqlite3_close(from);
    sqlite3_close(to);
}

/// Calls a function once, when SQLite has found an attendee for a query that has not been given it yet.
class AfterLookUp {
public:
    /// On connections that are opened from now on.
    AfterLookUp() { sqlite3_auto_extension(entry_point()); }
    ~AfterLookUp()
    {
        sqlite3_cancel_auto_extension(entry_point());
        set(nullptr);
    }
    AfterLookUp(const AfterLookUp&) = delete;
    AfterLookUp& operator=(const AfterLookUp&) = delete;

    static void set(std::function<void()> next)
    {
        const std::scoped_lock lock{mutex};
        call = std::move(next);
    }

private:
    static auto entry_point() -> void (*)()
    {
        // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): SQLite casts it back
        return reinterpret_cast<void (*)()>(&follow);
    }

    static int follow(sqlite3* database, char**, const void*)
    {
        return sqlite3_trace_v2(database, SQLITE_TRACE_ROW, &found, nullptr);
    }

    static int found(unsigned, void*, void* statement, void*)
    {
        const char* const sql = sqlite3_sql(static_cast<sqlite3_stmt*>(statement)); // nothing of SQLite's own
        if (sql == nullptr || std::strstr(sql, "FROM attendee WHERE id") == nullptr) return 0;
        std::function<void()> now;
        {
            const std::scoped_lock lock{mutex};
            now.swap(call);
        }
        if (now) now();
        return 0;
    }

    static inline std::mutex mutex;
    static inline std::function<void()> call;
};

} // namespace

TEST_CASE("watcher: tells of later states, not of the current one")
{
    Model model;
    Seen seen;
    const auto watch = model.watcher.watch(model.ada, seen.collect());
    model.change(2);
    REQUIRE(seen.wait_for_version(2));
    model.change(3);
    REQUIRE(seen.wait_for_version(3));
    CHECK(seen.versions() == std::vector<std::uint64_t>{2, 3});
}

TEST_CASE("watcher: an attendee may be watched before it is known")
{
    Model model;
    Seen seen;
    const auto later = new_attendee_id();
    const auto watch = model.watcher.watch(later, seen.collect());
    model.publisher.publish(later, 1, AttendeeRegistered{"ada@example.org"});
    REQUIRE(seen.wait_for_version(1));
}

TEST_CASE("watcher: each watch is notified of its own attendee, several of the same one")
{
    Model model;
    const auto other = new_attendee_id();
    model.publisher.publish(other, 1, AttendeeRegistered{"other@example.org"});
    Seen first;
    Seen second;
    Seen others;
    const auto watch1 = model.watcher.watch(model.ada, first.collect());
    const auto watch2 = model.watcher.watch(model.ada, second.collect());
    const auto watch3 = model.watcher.watch(other, others.collect());
    model.change(2);
    REQUIRE(first.wait_for_version(2));
    REQUIRE(second.wait_for_version(2));
    model.publisher.publish(other, 2, AttendeeUnregistered{"other plans"});
    REQUIRE(others.wait_for_version(2));
    CHECK(first.versions().size() == 1);
    CHECK(others.versions().size() == 1);
}

TEST_CASE("watcher: continues after a while without watches, and skips what happened then")
{
    Model model;
    for (std::uint64_t version = 2; version < 8; version += 2) {
        Seen seen;
        auto watch = model.watcher.watch(model.ada, seen.collect());
        model.change(version);
        REQUIRE(seen.wait_for_version(version));
        CHECK(seen.versions() == std::vector{version});
        watch.reset();
        model.change(version + 1);
    }
}

TEST_CASE("watcher: an ended watch is silent, whatever happens afterwards")
{
    Model model;
    Seen stays;
    const auto still = model.watcher.watch(model.ada, stays.collect());
    std::atomic<int> calls{0};
    auto ended = model.watcher.watch(model.ada, [&](const AttendeeView&) { ++calls; });
    ended.reset();
    model.change(2);
    REQUIRE(stays.wait_for_version(2));
    CHECK(calls == 0);
}

TEST_CASE("watcher: ending a watch waits for its callback")
{
    Model model;
    std::atomic<bool> entered{false};
    std::atomic<bool> left{false};
    auto watch = model.watcher.watch(model.ada, [&](const AttendeeView&) {
        entered = true;
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
        left = true;
    });
    model.change(2);
    while (!entered) std::this_thread::yield();
    watch.reset();
    CHECK(left);
}

TEST_CASE("watcher: a callback may end its own watch and others, and begin new ones")
{
    Model model;
    Seen last;
    std::atomic<int> own_calls{0};
    std::atomic<int> other_calls{0};
    std::unique_ptr<AttendeeWatcher::Watch> own;
    std::unique_ptr<AttendeeWatcher::Watch> other;
    std::unique_ptr<AttendeeWatcher::Watch> begun;
    std::mutex mutex; // the pointers are written here and read in the watcher's thread
    {
        const std::scoped_lock lock{mutex};
        const auto token = std::make_shared<int>(0); // something to destroy while it runs
        own = model.watcher.watch(model.ada, [&, token](const AttendeeView&) {
            const std::scoped_lock guard{mutex};
            ++own_calls;
            own.reset();
            other.reset();
            begun = model.watcher.watch(model.ada, last.collect());
            own_calls += *token; // still alive
        });
        // Told second, if it were still there.
        other = model.watcher.watch(model.ada, [&](const AttendeeView&) { ++other_calls; });
    }
    model.change(2);
    while (own_calls == 0) std::this_thread::yield();
    model.change(3);
    REQUIRE(last.wait_for_version(3));
    CHECK(own_calls == 1);
    CHECK(other_calls <= 1); // which of two watches of one attendee is notified first is not promised
    begun.reset();
}

TEST_CASE("watcher: a watch may outlive its watcher")
{
    Model model;
    std::unique_ptr<AttendeeWatcher::Watch> watch;
    {
        AttendeeWatcher short_lived{model.queries};
        watch = short_lived.watch(model.ada, [](const AttendeeView&) {});
    }
    watch.reset();
    CHECK(watch == nullptr);
}

TEST_CASE("watcher: what changes after watch() returned is never missed, and never told out of order")
{
    Model model;
    constexpr std::uint64_t last = 250;
    std::atomic<int> failures{0};
    std::vector<std::jthread> threads;
    threads.reserve(3);
    for (int index = 0; index < 3; ++index) {
        threads.emplace_back([&] {
            std::uint64_t known = 0;
            while (known < last) {
                // What server-sent events do: watch, then look, then follow; and sometimes the browser comes back.
                std::mutex mutex;
                std::condition_variable arrived;
                std::uint64_t told = 0;
                const auto watch = model.watcher.watch(model.ada, [&](const AttendeeView& view) {
                    const std::scoped_lock lock{mutex};
                    if (view.version.value() <= told) ++failures;
                    told = view.version.value();
                    arrived.notify_all();
                });
                const std::uint64_t looked = model.queries.find(model.ada)->version.value();
                if (looked < known) ++failures;
                if (looked == last) return;
                std::unique_lock lock{mutex};
                if (!arrived.wait_for(lock, std::chrono::seconds{20}, [&] { return told > looked; })) ++failures;
                known = told;
            }
        });
    }
    for (std::uint64_t version = 2; version <= last; ++version) model.change(version);
    threads.clear();
    CHECK(failures == 0);
}

TEST_CASE("watcher: looks at a file that has taken the place of another, whatever its revisions")
{
    TemporaryFolder folder;
    const std::filesystem::path place{folder.file("place")};
    const std::filesystem::path next{folder.file("next")};
    for (const auto& made : {place, next}) std::filesystem::create_directory(made);
    const auto ada = new_attendee_id();
    const auto eve = new_attendee_id();
    Publisher publisher{place / "read-model.db"};
    for (const auto& id : {ada, eve}) publisher.publish(id, 1, AttendeeRegistered{"ada@example.org"});
    AttendeeQueries queries{place / "read-model.db"};
    AttendeeWatcher watcher{queries, std::chrono::milliseconds{1}};
    Seen seen;
    Seen others;
    const auto watch = watcher.watch(ada, seen.collect());
    const auto watch2 = watcher.watch(eve, others.collect());
    for (std::uint64_t version = 2; version < 9; ++version)
        publisher.publish(eve, version, EmailChangeRequested{"eve@example.com", {}});
    REQUIRE(others.wait_for_version(8)); // so revisions up to 9 are known
    {
        Publisher worker{next / "read-model.db"}; // another worker that has come further
        worker.publish(ada, 1, AttendeeRegistered{"ada@example.org"});
        worker.publish(ada, 2, AttendeeUnregistered{"other plans"});
        worker.publish(eve, 1, AttendeeRegistered{"eve@example.org"});
        for (std::uint64_t version = 2; version < 20; ++version)
            worker.publish(eve, version, EmailChangeRequested{"eve@example.com", {}});
    }
    std::filesystem::rename(place, folder.file("former"));
    std::filesystem::rename(next, place);
    CHECK(seen.wait_for_version(2)); // at revision 2
    CHECK(others.wait_for_version(19));
}

TEST_CASE("watcher: another file takes the place of one that a watch begins with")
{
    const AfterLookUp after_look_up;
    TemporaryFolder folder;
    const std::filesystem::path place{folder.file("place")};
    const std::filesystem::path next{folder.file("next")};
    const auto ada = new_attendee_id();
    const auto eve = new_attendee_id();
    for (const auto& made : {place, next}) {
        std::filesystem::create_directory(made);
        Publisher publisher{made / "read-model.db"};
        for (const auto& id : {ada, eve}) publisher.publish(id, 1, AttendeeRegistered{"ada@example.org"});
        publisher.publish(made == place ? ada : eve, 2, AttendeeUnregistered{"other plans"});
    }
    AttendeeQueries queries{place / "read-model.db"};
    AttendeeWatcher watcher{queries, std::chrono::milliseconds{1}};
    Seen seen;
    Seen others;
    const auto watch = watcher.watch(eve, others.collect());
    Publisher{place / "read-model.db"}.publish(eve, 2, EmailChangeRequested{"eve@example.com", {}});
    REQUIRE(others.wait_for_version(2)); // so the watcher has looked at all
    Publisher{next / "read-model.db"}.publish(eve, 3, EmailChangeRequested{"eve@example.com", {}});
    bool is_looked_at = false;
    AfterLookUp::set([&] {
        std::filesystem::rename(place, folder.file("former"));
        std::filesystem::rename(next, place);
        is_looked_at = others.wait_for_version(3);
    });
    const auto watch2 = watcher.watch(ada, seen.collect()); // has looked at version 2 of the former file
    CHECK(is_looked_at);
    Publisher{place / "read-model.db"}.publish(ada, 2, AttendeeUnregistered{"other plans"});
    CHECK(seen.wait_for_version(2));
}

TEST_CASE("watcher: a watch that begins while all are looked at is not told of the current state")
{
    const AfterLookUp after_look_up;
    Model model;
    const std::string backup = model.folder.file("backup.db");
    model.publisher.database.execute(("VACUUM INTO '" + backup + "'").c_str());
    Seen first;
    Seen second;
    std::unique_ptr<AttendeeWatcher::Watch> watch2;
    const auto watch = model.watcher.watch(model.ada, first.collect());
    model.change(2);
    REQUIRE(first.wait_for_version(2)); // so the watcher has looked at all
    Publisher{backup}.publish(model.ada, 2, AttendeeUnregistered{"other plans"});
    AfterLookUp::set([&] {
        model.change(3);
        watch2 = model.watcher.watch(model.ada, second.collect());
    });
    restore(backup, model.path);
    REQUIRE(first.wait_for_version(3));
    model.change(4);
    REQUIRE(second.wait_for_version(4));
    CHECK(second.versions() == std::vector<std::uint64_t>{4});
}

TEST_CASE("watcher: looks at a backup that was restored into the file")
{
    Model model;
    const std::string backup = model.folder.file("backup.db");
    model.publisher.database.execute(("VACUUM INTO '" + backup + "'").c_str());
    Publisher{backup}.publish(model.ada, 2, AttendeeUnregistered{"other plans"});
    const auto bob = new_attendee_id();
    Seen seen;
    Seen others;
    const auto watch = model.watcher.watch(model.ada, seen.collect());
    const auto watch2 = model.watcher.watch(bob, others.collect());
    model.publisher.publish(bob, 1, AttendeeRegistered{"bob@example.org"});
    REQUIRE(others.wait_for_version(1));
    restore(backup, model.path); // of the same revision
    REQUIRE(seen.wait_for_version(2));
    model.change(3);
    REQUIRE(seen.wait_for_version(3)); // so all of the backup was looked at
    model.publisher.publish(bob, 1, AttendeeRegistered{"bob@example.org"});
    CHECK(others.wait_for_versions({1, 1}));
}

TEST_CASE("watcher: continues with a file that has taken the place of a deleted one")
{
    Model model;
    for (std::uint64_t version = 2; version < 9; ++version) model.change(version);
    Seen seen;
    const auto watch = model.watcher.watch(model.ada, seen.collect());
    for (const char* const suffix : {"", "-wal", "-shm"}) std::filesystem::remove(model.path + suffix);
    Publisher publisher{model.path};
    publisher.publish(model.ada, 1, AttendeeRegistered{"ada@example.org"});
    publisher.publish(model.ada, 9, EmailChangeRequested{"v9@example.org", {}});
    CHECK(seen.wait_for_version(9));
    publisher.publish(model.ada, 10, EmailChangeRequested{"v10@example.org", {}});
    CHECK(seen.wait_for_version(10));
}
