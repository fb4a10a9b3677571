// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/postgres/event_store.hpp>
#include <escqrs/sqlite/event_store.hpp>
#include <escqrs/store/event_log_digest.hpp>

#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/detail/sample_events.hpp>

#include "postgres/server.hpp"
#include "support/temporary_folder.hpp"

#include <cstdlib>
#include <string>
#include <vector>

namespace {

using namespace escqrs::testing::detail;
using escqrs::ExpectedVersion;
using escqrs::StreamVersion;
using postgres_test::Server;

int copy(const std::string& file, const std::string& schema)
{
    const std::string command = std::string{ESCQRS_SQLITE_TO_POSTGRES} + " '" + file + "' '" +
                                Server::shared().address() + "' " + schema + " >/dev/null 2>&1";
    return std::system(command.c_str()); // NOLINT: our own command
}

} // namespace

TEST_CASE("a SQLite store goes over to PostgreSQL with positions, ids and what repeats an append")
{
    const TemporaryFolder folder;
    const std::string file = folder.file("events.db");
    const std::string schema = Server::shared().new_schema();
    const std::vector<SampleEvent> three(3);
    escqrs::AppendResult first{};
    escqrs::EventLogDigest expected;
    escqrs::LogId log;
    {
        escqrs::sqlite::EventStore from{file};
        first = append(from, sample_stream(), ExpectedVersion::any(), three);
        for (int round = 0; round < 200; ++round) {
            append_some(from, sample_stream(std::to_string(round % 7)), 1 + static_cast<std::size_t>(round) % 4);
        }
        expected = escqrs::digest_of(from);
        log = from.log_id();
    }
    REQUIRE(copy(file, schema) == 0);

    escqrs::postgres::EventStore store{Server::shared().address(), {.schema = schema}};
    CHECK(escqrs::digest_of(store) == expected);
    CHECK(store.log_id() == log);
    CHECK(append(store, sample_stream(), ExpectedVersion::any(), three) == first);
    const auto next =
        append(store, sample_stream(), ExpectedVersion::exactly(StreamVersion{3}), std::vector<SampleEvent>(1));
    CHECK(next.position > expected.head);
    append_some(store, sample_stream("new"), 1);
    std::vector<SampleEvent> other_kind(1);
    other_kind[0].type = "SomethingNew";
    append(store, sample_stream("new"), ExpectedVersion::any(), other_kind);
    CHECK(escqrs::digest_of(store).events == expected.events + 3);

    CHECK(copy(file, schema) != 0); // it is not empty any more
    CHECK(escqrs::digest_of(store).events == expected.events + 3);
}

TEST_CASE("an empty SQLite store can be copied, and what is none is refused")
{
    const TemporaryFolder folder;
    const std::string file = folder.file("empty.db");
    {
        const escqrs::sqlite::EventStore from{file};
    }
    const std::string schema = Server::shared().new_schema();
    REQUIRE(copy(file, schema) == 0);
    escqrs::postgres::EventStore store{Server::shared().address(), {.schema = schema}};
    append_some(store, sample_stream(), 1);
    CHECK(store.head() == escqrs::GlobalPosition{1});
    std::ofstream{folder.file("text")} << "no database, but a text that is long enough to be looked at";
    CHECK(copy(folder.file("text"), Server::shared().new_schema()) != 0);
}
