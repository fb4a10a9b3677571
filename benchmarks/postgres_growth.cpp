// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// growth/postgres/, growth_by_streams/postgres/   what an append, a load and a page of the log cost in PostgreSQL as a log has more
//                                                events, and more streams, against libpq by hand over the same tables
//                                                (support/growth.hpp); on its own server
#include "support/growing_store.hpp"

#include <escqrs/postgres/event_store.hpp>

#include "postgres/server.hpp"

#include <string>
#include <vector>

namespace {

using namespace benchmarks;
namespace postgres = escqrs::postgres;

const std::string& address()
{
    static const std::string server = postgres_test::Server::shared().address();
    return server;
}

/// Fills the tables of an empty event store, indexes last, as fast as the server can; then a copy of them in another
/// schema.
void fill_tables(postgres::Connection& connection, const Shape& shape)
{
    connection.execute("DROP SCHEMA IF EXISTS by_hand CASCADE; DROP SCHEMA IF EXISTS escqrs CASCADE");
    {
        const postgres::EventStore creates_the_tables{address()};
    }
    connection.execute("SET synchronous_commit = off; SET maintenance_work_mem = '1GB'; SET work_mem = '1GB';"
                       "DROP INDEX escqrs.events_by_stream, escqrs.events_by_id;"
                       "ALTER TABLE escqrs.events DROP CONSTRAINT events_pkey");
    const auto run = [&](const std::string& sql, const auto&... values) {
        postgres::Statement{connection, sql}.run(values...);
    };
    run("INSERT INTO escqrs.event_kinds (type, schema_version, content_type) VALUES ($1, 1, $2)", event_type,
        content_type);
    run("INSERT INTO escqrs.streams (id, name) OVERRIDING SYSTEM VALUE SELECT id + 1, 'stream-' || id "
        "FROM generate_series(0, $1::bigint - 1) AS id",
        shape.streams);
    run("SELECT setval(pg_get_serial_sequence('escqrs.streams', 'id'), $1)", shape.streams);
    // As Shape has it: all streams' first five events, then their next five.
    run("INSERT INTO escqrs.events (position, stream, version, recorded_at, index_in_append, kind, id, metadata, "
        "payload) "
        "SELECT position, stream, version + index, now(), index, 1, (lpad(to_hex(position), 12, '0') || "
        "right(replace(gen_random_uuid()::text, '-', ''), 20))::uuid, $3, $4 "
        "FROM (SELECT row_number() OVER (ORDER BY version, stream, index) AS position, stream, version, index "
        "FROM generate_series(1, $2::bigint, 5) AS version, generate_series(1, $1::bigint) AS stream, "
        "generate_series(0, least(4, $2::bigint - version)) AS index) AS log",
        shape.streams, shape.events_per_stream, bytes(metadata), bytes(payload));
    run("SELECT setval('escqrs.positions', $1)", shape.events());
    const auto index = [&](const std::string& schema) {
        connection.execute(("ALTER TABLE " + schema +
                            ".events ADD CONSTRAINT events_pkey PRIMARY KEY (position);"
                            "CREATE UNIQUE INDEX events_by_stream ON " +
                            schema +
                            ".events (stream, version);"
                            "CREATE UNIQUE INDEX events_by_id ON " +
                            schema + ".events (id)")
                               .c_str());
    };
    index("escqrs");
    connection.execute("CREATE SCHEMA by_hand;"
                       "CREATE TABLE by_hand.events (LIKE escqrs.events);"
                       "INSERT INTO by_hand.events SELECT * FROM escqrs.events ORDER BY position;"
                       "CREATE TABLE by_hand.streams (LIKE escqrs.streams INCLUDING INDEXES);"
                       "INSERT INTO by_hand.streams SELECT * FROM escqrs.streams");
    index("by_hand");
    connection.execute(("ALTER TABLE by_hand.events ALTER position ADD GENERATED ALWAYS AS IDENTITY "
                        "(START " +
                        std::to_string(shape.events() + 1) + ")")
                           .c_str());
    for (const char* const table : {"escqrs.events", "escqrs.streams", "by_hand.events", "by_hand.streams"})
        connection.execute((std::string{"VACUUM ANALYZE "} + table).c_str());
    connection.execute("CHECKPOINT"); // which would still run while others are measured
}

/// The server, with tables of this shape; what was there before is gone, so all contestants of a shape have to run
/// together.
const std::string& filled(const Shape& shape)
{
    static Shape kept{};
    if (kept == shape) return address();
    postgres::Connection connection{address()};
    fill_tables(connection, shape);
    kept = shape;
    return address();
}

struct PostgresStore : GrowingStore<postgres::EventStore> {
    explicit PostgresStore(const Shape& shape)
        : GrowingStore{std::make_unique<postgres::EventStore>(filled(shape)), shape}
    {
    }
};

/// The event store's tables with their indexes, read without the event store.
class PostgresByHand {
public:
    explicit PostgresByHand(const Shape& shape)
        : connection_{filled(shape)}, versions_(shape.streams, shape.events_per_stream)
    {
    }

    std::int64_t append(std::uint64_t stream)
    {
        return static_cast<std::int64_t>(insert_
                                             .query(stream + 1, ++versions_[stream], escqrs::Timestamp{},
                                                    escqrs::time_ordered_uuid(), bytes(metadata), bytes(payload))
                                             .size());
    }
    std::int64_t load(std::uint64_t stream)
    {
        return seen(select_stream_.query(stream_id(stream).text(), last_ten(versions_[stream])), false);
    }
    std::int64_t read_page(std::uint64_t position) { return seen(select_page_.query(position, page_size), true); }

private:
    /// Looks at every column, as showing the event requires.
    static std::int64_t seen(postgres::Rows rows, bool with_name)
    {
        std::int64_t count = 0;
        while (rows.next()) {
            for (const int column : {0, 1, 4}) benchmark::DoNotOptimize(rows.integer(column));
            benchmark::DoNotOptimize(rows.time(2));
            for (const int column : {3, 5}) benchmark::DoNotOptimize(rows.blob(column).data());
            if (with_name) benchmark::DoNotOptimize(rows.text(7).data());
            count += rows.blob(6).front() == std::byte{'p'} ? 1 : 0;
        }
        return count;
    }

    postgres::Connection connection_;
    std::vector<std::uint64_t> versions_;
    postgres::Statement insert_{connection_,
                                "INSERT INTO by_hand.events (stream, version, recorded_at, index_in_append, kind, "
                                "id, metadata, payload) VALUES ($1, $2, $3, 0, 1, $4, $5, $6) RETURNING position"};
    postgres::Statement select_stream_{
        connection_,
        "SELECT position, version, recorded_at, id, kind, metadata, payload FROM by_hand.events "
        "WHERE stream = (SELECT id FROM by_hand.streams WHERE name = $1) AND version >= $2 ORDER BY version"};
    postgres::Statement select_page_{connection_,
                                     "SELECT position, version, recorded_at, e.id, kind, metadata, payload, name FROM "
                                     "by_hand.events e JOIN by_hand.streams s ON s.id = e.stream WHERE position > $1 "
                                     "ORDER BY position LIMIT $2"};
};

} // namespace

int main(int argc, char** argv)
{
    add_growth<PostgresStore>("postgres", "escqrs", 200);
    add_growth<PostgresByHand>("postgres", "by_hand", 200);
    benchmark::Initialize(&argc, argv);
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
