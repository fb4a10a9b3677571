// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Copies an SQLite event store into an empty PostgreSQL one:
//
//   sqlite_to_postgres events.db postgresql://owner@host/database [schema]
//
// Streams, versions, positions, ids (that of the log too) and times stay as they are, so that checkpoints of readers
// stay valid, and an append whose answer was lost can still be repeated. Snapshots are not copied: they are made again.
// All is copied in one transaction, during which no one can write to the SQLite file. Then both logs are read, and
// their digests compared.
#include <escqrs/postgres/detail/binary_format.hpp>
#include <escqrs/postgres/event_store.hpp>
#include <escqrs/sqlite/event_store.hpp>
#include <escqrs/store/event_log_digest.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace postgres = escqrs::postgres;
namespace sqlite = escqrs::sqlite;
using escqrs::Bytes;
using escqrs::StoreError;
using namespace postgres::detail;

/// Rows on their way into a table, in the format of binary COPY.
class Copy {
public:
    Copy(postgres::Connection& connection, const std::string& sql) : connection_{&connection}
    {
        connection.check(PQexec(connection.handle(), (sql + " FROM STDIN (FORMAT binary)").c_str()), sql);
        put_value(bytes_, std::string_view{"PGCOPY\n\377\r\n\0", 11});
        put_number(bytes_, std::int64_t{0}); // flags, and no extension
    }

    void begin_row(std::int16_t columns)
    {
        if (bytes_.size() > 1024 * 1024) send();
        put_number(bytes_, columns);
    }
    void field(Bytes bytes)
    {
        put_number(bytes_, static_cast<std::int32_t>(bytes.size()));
        put_value(bytes_, bytes);
    }
    void field(std::string_view text) { field(std::as_bytes(std::span{text})); }
    template <std::integral Number>
    void field(Number number)
    {
        put_number(bytes_, static_cast<std::int32_t>(sizeof number));
        put_number(bytes_, number);
    }

    void end()
    {
        put_number(bytes_, std::int16_t{-1});
        send();
        PGconn* const handle = connection_->handle();
        if (PQputCopyEnd(handle, nullptr) != 1) throw StoreError{PQerrorMessage(handle)};
        const Result result{connection_->check(PQgetResult(handle), "COPY")};
        while (const Result more{PQgetResult(handle)}) {}
    }

private:
    void send()
    {
        PGconn* const handle = connection_->handle();
        const auto* const data = reinterpret_cast<const char*>(bytes_.data()); // NOLINT: char aliases
        if (PQputCopyData(handle, data, static_cast<int>(bytes_.size())) != 1) throw StoreError{PQerrorMessage(handle)};
        bytes_.clear();
    }

    postgres::Connection* connection_;
    std::vector<std::byte> bytes_;
};

void copy_streams(sqlite::Database& from, postgres::Connection& to, const std::string& schema)
{
    Copy streams{to, postgres::with_schema("COPY {s}.streams (id, name)", schema)};
    sqlite::Statement select{from, "SELECT id, name FROM streams ORDER BY id"};
    auto rows = select.query();
    while (rows.next()) {
        streams.begin_row(2);
        streams.field(rows.integer(0));
        streams.field(rows.text(1));
    }
    streams.end();
}

void copy_kinds(sqlite::Database& from, postgres::Connection& to, const std::string& schema)
{
    Copy kinds{to, postgres::with_schema("COPY {s}.event_kinds (id, type, schema_version, content_type)", schema)};
    sqlite::Statement select{from, "SELECT id, type, schema_version, content_type FROM event_kinds ORDER BY id"};
    auto rows = select.query();
    while (rows.next()) {
        kinds.begin_row(4);
        kinds.field(static_cast<std::int32_t>(rows.integer(0)));
        kinds.field(rows.text(1));
        kinds.field(rows.integer(2));
        kinds.field(rows.text(3));
    }
    kinds.end();
}

void copy_events(sqlite::Database& from, postgres::Connection& to, const std::string& schema)
{
    Copy events{to,
                postgres::with_schema("COPY {s}.events (position, stream, version, recorded_at, index_in_append, kind, "
                                      "id, metadata, payload)",
                                      schema)};
    sqlite::Statement select{from,
                             "SELECT position, stream, version, recorded_at, index_in_append, kind, id, metadata, "
                             "payload FROM events ORDER BY position"};
    auto rows = select.query();
    while (rows.next()) {
        events.begin_row(9);
        events.field(rows.integer(0));
        events.field(rows.integer(1));
        events.field(rows.integer(2));
        events.field(to_postgres(rows.time(3)));
        events.field(static_cast<std::int32_t>(rows.integer(4)));
        events.field(static_cast<std::int32_t>(rows.integer(5)));
        events.field(rows.blob(6));
        events.field(rows.blob(7));
        events.field(rows.blob(8));
    }
    events.end();
}

void copy_log_id(sqlite::Database& from, postgres::Connection& to, const std::string& schema)
{
    sqlite::Statement select{from, "SELECT id FROM log"};
    auto rows = select.query();
    if (!rows.next()) throw StoreError{"sqlite '" + from.path() + "': expected the log's id, found none"};
    postgres::Statement update{to, postgres::with_schema("UPDATE {s}.log SET id = $1", schema)};
    update.run(escqrs::parse_uuid(rows.text(0)));
}

void copy_log(const std::string& path, postgres::Connection& to, const std::string& schema)
{
    sqlite::Database from{path, sqlite::detail::event_log_schema};
    sqlite::Transaction unchanged{from};
    postgres::Transaction transaction{to};
    to.execute(postgres::with_schema("LOCK {s}.events, {s}.streams, {s}.event_kinds IN ACCESS EXCLUSIVE MODE", schema));
    postgres::Statement any{to, postgres::with_schema("SELECT FROM {s}.streams LIMIT 1", schema)};
    if (any.query().size() != 0) {
        throw StoreError{"postgres '" + to.where() + "': expected an empty event store in schema '" + schema +
                         "', found streams"};
    }
    copy_log_id(from, to, schema);
    copy_streams(from, to, schema);
    copy_kinds(from, to, schema);
    copy_events(from, to, schema);
    to.execute(postgres::with_schema(
        "SELECT setval('{s}.positions', (SELECT coalesce(max(position), 0) FROM {s}.events));"
        "SELECT setval(pg_get_serial_sequence('{s}.streams', 'id'), (SELECT max(id) + 1 FROM {s}.streams), false);"
        "SELECT setval(pg_get_serial_sequence('{s}.event_kinds', 'id'), (SELECT max(id) + 1 FROM {s}.event_kinds), "
        "false);"
        "ANALYZE {s}.events; ANALYZE {s}.streams",
        schema));
    transaction.commit();
}

void run(const std::string& path, const std::string& address, const std::string& schema)
{
    postgres::EventStore store{address, {.schema = schema}}; // makes the tables
    {
        postgres::Connection owner{address};
        copy_log(path, owner, schema);
    }
    sqlite::EventStore source{path};
    const auto expected = escqrs::digest_of(source);
    const auto found = escqrs::digest_of(store);
    if (found != expected) {
        throw StoreError{"the copy differs: expected " + std::to_string(expected.events) + " events with digest " +
                         escqrs::to_string(expected.digest) + ", found " + std::to_string(found.events) + " with " +
                         escqrs::to_string(found.digest)};
    }
    std::printf("copied %llu events up to position %llu, digest %s\n", static_cast<unsigned long long>(found.events),
                static_cast<unsigned long long>(found.head.value()), escqrs::to_string(found.digest).c_str());
}

} // namespace

int main(int argc, char** argv)
{
    if (argc < 3 || argc > 4) {
        std::fprintf(stderr, "usage: %s <SQLite file> <PostgreSQL connection string> [schema]\n", argv[0]);
        return 2;
    }
    try {
        run(argv[1], argv[2], argc == 4 ? argv[3] : "escqrs");
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
    return 0;
}
