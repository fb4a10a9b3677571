// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "read_model_fixture.hpp"
#include "support/damaged_pages.hpp"

#include <escqrs/testing/catch2.hpp>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace conference;
using namespace conference::test;

namespace {

struct Model {
    TemporaryFolder folder;
    std::string path = folder.file("read-model.db");
    Publisher publisher{path};
    AttendeeQueries queries{path};

    std::vector<AttendeeId> register_attendees(std::size_t count)
    {
        std::vector<AttendeeId> ids;
        for (std::size_t index = 0; index < count; ++index) {
            ids.push_back(new_attendee_id());
            publisher.publish(ids.back(), 1, AttendeeRegistered{"ada@example.org"});
        }
        return ids;
    }
};

std::vector<AttendeeId> ids_of(const std::vector<AttendeeView>& views)
{
    std::vector<AttendeeId> ids;
    for (const auto& view : views) ids.push_back(view.id);
    return ids;
}

} // namespace

TEST_CASE("queries: the first process makes the file, and the next keeps it")
{
    const TemporaryFolder folder;
    const std::string path = folder.file("read-model.db");
    AttendeeQueries first{path};
    CHECK(first.progress().position == escqrs::GlobalPosition{});
    CHECK(first.revision() == 0);
    CHECK(first.list(10, "").attendees.empty());
    Publisher publisher{path};
    const auto id = new_attendee_id();
    publisher.publish(id, 1, AttendeeRegistered{"ada@example.org"});
    AttendeeQueries second{path};
    CHECK(first.find(id) == second.find(id));
    CHECK(second.find(id).has_value());
}

TEST_CASE("queries: damaged pages are a problem once they were read, and until they can be read again")
{
    const TemporaryFolder folder;
    const std::string path = folder.file("read-model.db");
    const auto damaged = new_attendee_id();
    {
        Publisher publisher{path};
        publisher.database.execute("PRAGMA synchronous = OFF");
        for (int count = 0; count < 60; ++count) {
            publisher.publish(count == 20 ? damaged : new_attendee_id(), 1, AttendeeRegistered{"ada@example.org"});
        }
    }
    const DamagedPages pages{path, to_string(damaged)};
    REQUIRE(pages.count() > 0);
    AttendeeQueries queries{path};
    CHECK(queries.progress().events == 0);
    CHECK_FALSE(queries.gap());
    CHECK_FALSE(queries.problem());
    SECTION("by a question for one attendee") { CHECK_THROWS_AS(queries.find(damaged), escqrs::StoreError); }
    SECTION("for all") { CHECK_THROWS_AS(queries.list(100, ""), escqrs::StoreError); }
    SECTION("for what has changed")
    {
        std::uint64_t revision = 0;
        CHECK_THROWS_AS(queries.changed_since(revision), escqrs::StoreError);
        CHECK(revision == 0);
    }
    REQUIRE(queries.problem());
    CHECK(queries.problem()->find("malformed") != std::string::npos);
    CHECK(queries.revision() > 0); // others can be read
    CHECK(queries.problem());
    pages.repair();
    CHECK_FALSE(queries.problem());
    CHECK(queries.find(damaged).has_value());
}

TEST_CASE("queries: a file of another kind or version is refused and left alone")
{
    const TemporaryFolder folder;
    const std::string path = folder.file("other.db");
    SECTION("another program's")
    {
        escqrs::sqlite::Database other{path};
        other.execute("CREATE TABLE cake (recipe TEXT)");
        CHECK_THROWS_AS(AttendeeQueries{path}, escqrs::StoreError);
        CHECK(other.query_integer("SELECT count(*) FROM sqlite_schema") == 1);
    }
    SECTION("a newer version's")
    {
        AttendeeQueries{path};
        escqrs::sqlite::Database other{path};
        other.execute(("PRAGMA user_version = " + std::to_string(read_model_schema.version + 1)).c_str());
        CHECK_THROWS_AS(AttendeeQueries{path}, escqrs::StoreError);
    }
}

TEST_CASE("queries: a file of an earlier version knows how many events it has handled when it is upgraded")
{
    Model model;
    const auto ids = model.register_attendees(2);
    model.publisher.publish(ids[0], 2, AttendeeUnregistered{"other plans"});
    model.publisher.database.execute("ALTER TABLE progress DROP COLUMN events; ALTER TABLE progress DROP COLUMN gap;"
                                     "ALTER TABLE progress DROP COLUMN dead_lettered;"
                                     "DROP INDEX mail_by_turn; ALTER TABLE outgoing_mail DROP COLUMN earlier;"
                                     "PRAGMA user_version = 2");
    CHECK(AttendeeQueries{model.publisher.database.path()}.progress().events == 3);
}

TEST_CASE("queries: the list is in order of registration, page by page")
{
    Model model;
    const auto ids = model.register_attendees(25);
    // Changes do not move anybody.
    model.publisher.publish(ids[3], 2, AttendeeUnregistered{"other plans"});

    for (const std::size_t limit : {std::size_t{1}, std::size_t{7}, std::size_t{25}, std::size_t{1000}}) {
        CAPTURE(limit);
        std::vector<AttendeeId> listed;
        std::string after;
        while (true) {
            const AttendeePage page = model.queries.list(limit, after);
            CHECK(page.attendees.size() <= limit);
            for (const auto& id : ids_of(page.attendees)) listed.push_back(id);
            if (!page.next) break;
            CHECK(page.attendees.size() == limit);
            after = *page.next;
        }
        CHECK(listed == ids);
    }
}

TEST_CASE("queries: an attendee who registers while pages are turned comes at the end, and none is shown twice")
{
    Model model;
    auto ids = model.register_attendees(4);
    const auto first = model.queries.list(3, "");
    for (const auto& id : model.register_attendees(2)) ids.push_back(id);
    REQUIRE(first.next);
    const auto second = model.queries.list(10, *first.next);
    auto listed = ids_of(first.attendees);
    for (const auto& id : ids_of(second.attendees)) listed.push_back(id);
    CHECK(listed == ids);
    CHECK_FALSE(second.next);
}

TEST_CASE("queries: what is no cursor is refused")
{
    Model model;
    model.register_attendees(3);
    const auto cursor = model.queries.list(2, "").next.value();
    CHECK_NOTHROW(model.queries.list(2, cursor));
    for (const std::string& hostile :
         {std::string{"x"}, std::string{"7"}, std::string{"7-"}, std::string{"-7-" + cursor.substr(2)}, cursor + "0",
          " " + cursor, cursor.substr(1), std::string{"99999999999999999999"} + cursor.substr(1),
          std::string{"1-' OR 1=1 --aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}, std::string(100'000, '1'),
          std::string("1\0-", 3)}) {
        CAPTURE(hostile.substr(0, 60));
        CHECK_THROWS_AS(model.queries.list(2, hostile), std::invalid_argument);
    }
}

TEST_CASE("queries: changes since a revision, each attendee once in the newest state")
{
    Model model;
    const auto ids = model.register_attendees(3);
    std::uint64_t revision = 0;
    CHECK(ids_of(model.queries.changed_since(revision)) == ids);
    CHECK(revision == model.queries.revision());
    CHECK(model.queries.changed_since(revision).empty());
    CHECK(revision == model.queries.revision());

    model.publisher.publish(ids[2], 2, EmailChangeRequested{"lovelace@example.net", {}});
    model.publisher.publish(ids[0], 2, AttendeeUnregistered{"other plans"});
    model.publisher.publish(ids[2], 3, EmailChangeConfirmed{"lovelace@example.net"});
    const auto changed = model.queries.changed_since(revision);
    CHECK(ids_of(changed) == std::vector{ids[0], ids[2]});
    CHECK(changed[1].version == escqrs::StreamVersion{3});
    CHECK(model.queries.changed_since(revision).empty());
}

TEST_CASE("queries: the position is that of the newest event, in whatever order they come")
{
    Model model;
    model.publisher.position = 40;
    model.register_attendees(1);
    CHECK(model.queries.progress().position == escqrs::GlobalPosition{41});
    model.publisher.position = 7;
    model.register_attendees(1);
    CHECK(model.queries.progress().position == escqrs::GlobalPosition{41});
}

TEST_CASE("queries: any number of threads may ask while the read model is written")
{
    Model model;
    const auto ids = model.register_attendees(1);
    std::atomic<bool> done{false};
    std::atomic<int> wrong{0};
    std::vector<std::jthread> threads;
    for (int index = 0; index < 4; ++index) {
        threads.emplace_back([&] {
            std::uint64_t revision = 0;
            escqrs::StreamVersion version;
            while (!done) {
                const auto view = model.queries.find(ids[0]);
                if (!view || view->version < version) ++wrong;
                version = view->version;
                const std::uint64_t before = revision;
                const auto changes = model.queries.changed_since(revision);
                if (changes.empty() != (revision == before)) ++wrong;
                if (model.queries.list(5, "").attendees.size() != 1) ++wrong;
            }
        });
    }
    for (std::uint64_t version = 2; version < 300; ++version) {
        model.publisher.publish(ids[0], version, EmailChangeRequested{"lovelace@example.net", {}});
    }
    done = true;
    threads.clear();
    CHECK(wrong == 0);
}

TEST_CASE("queries: a reader sees the last committed state while the worker is in the middle of a transaction")
{
    Model model;
    const auto ids = model.register_attendees(1);
    escqrs::sqlite::Transaction open{model.publisher.database};
    model.publisher.database.execute("UPDATE attendee SET email = 'half@example.org'");
    CHECK(model.queries.find(ids[0])->email == "ada@example.org");
}

TEST_CASE("queries: a file that was deleted and made anew is opened anew")
{
    TemporaryFolder folder;
    const std::string path = folder.file("read-model.db");
    AttendeeQueries queries{path};
    const auto id = new_attendee_id();
    Publisher{path}.publish(id, 1, AttendeeRegistered{"ada@example.org"});
    Publisher{path}.publish(id, 2, EmailChangeRequested{"lovelace@example.net", {}});
    std::uint64_t revision = 0;
    CHECK(queries.changed_since(revision).size() == 1);
    CHECK(revision == 2);
    for (const char* const suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path + suffix);
    CHECK_FALSE(queries.find(id));
    Publisher{path}.publish(id, 1, AttendeeRegistered{"byron@example.org"});
    CHECK(queries.find(id)->email == "byron@example.org");
    CHECK(queries.changed_since(revision).size() == 1); // though its revision is lower
    CHECK(revision == 1);
}
