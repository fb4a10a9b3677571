// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// growth/postgres/   what an append, a load and a page of the log cost in PostgreSQL logs of 10^3 to 10^7 events, 10 to a stream,
//                    beside libpq by hand over the same table; against a server of its own
#include "support/growing_store.hpp"

#include <escqrs/postgres/event_store.hpp>

#include "postgres/server.hpp"

#include <atomic>
#include <thread>

namespace {

using namespace benchmarks;
namespace postgres = escqrs::postgres;

const std::string& address()
{
    static const std::string server = postgres_test::Server::shared().address();
    return server;
}

struct PostgresStore : GrowingStore<postgres::EventStore> {
    explicit PostgresStore(std::uint64_t streams) : GrowingStore{make(streams)} {}

    static std::unique_ptr<postgres::EventStore> make(std::uint64_t streams)
    {
        postgres::Connection connection{address()};
        connection.execute("DROP SCHEMA IF EXISTS escqrs CASCADE");
        auto store = std::make_unique<postgres::EventStore>(address());
        for (std::int64_t part = 0; part < events_per_stream / events_per_part; ++part) {
            std::atomic<std::uint64_t> next{0};
            std::vector<std::jthread> threads; // many, for then appends go out together
            while (threads.size() < 64) {
                threads.emplace_back([&] {
                    for (std::uint64_t stream = next++; stream < streams; stream = next++)
                        append_to(*store, stream, events_per_part);
                });
            }
        }
        connection.execute("VACUUM ANALYZE escqrs.events");
        connection.execute("VACUUM ANALYZE escqrs.streams");
        return store;
    }
};

/// The event store's tables with their indexes, filled and read without the event store.
class PostgresByHand {
public:
    explicit PostgresByHand(std::uint64_t streams) : connection_{address()}
    {
        const postgres::EventStore store{address()}; // whose tables are copied
        connection_.execute("DROP SCHEMA IF EXISTS by_hand CASCADE; CREATE SCHEMA by_hand;"
                            "CREATE TABLE by_hand.events (LIKE escqrs.events INCLUDING INDEXES);"
                            "CREATE TABLE by_hand.streams (LIKE escqrs.streams INCLUDING INDEXES);"
                            "ALTER TABLE by_hand.events ALTER position ADD GENERATED ALWAYS AS IDENTITY");
        postgres::Statement{connection_, "INSERT INTO by_hand.streams (id, name) SELECT id + 1, 'stream-' || id "
                                         "FROM generate_series(0, $1 - 1) AS id"}
            .run(streams);
        postgres::Statement fill{
            connection_,
            "INSERT INTO by_hand.events (stream, version, recorded_at, index_in_append, kind, id, metadata, payload) "
            "SELECT stream, $2 + event, now(), event - 1, 1, gen_random_uuid(), $4, $5 "
            "FROM generate_series(1, $1) AS stream, generate_series(1, $3) AS event ORDER BY stream, event"};
        for (std::int64_t version = 0; version < events_per_stream; version += events_per_part)
            fill.run(streams, version, events_per_part, bytes(metadata), bytes(payload));
        versions_.assign(streams, events_per_stream);
        connection_.execute("VACUUM ANALYZE by_hand.events");
        connection_.execute("VACUUM ANALYZE by_hand.streams");
    }

    std::int64_t append(std::uint64_t stream)
    {
        return static_cast<std::int64_t>(insert_
                                             .query(stream + 1, ++versions_[stream], escqrs::Timestamp{},
                                                    escqrs::time_ordered_uuid(), bytes(metadata), bytes(payload))
                                             .size());
    }
    std::int64_t load(std::uint64_t stream) { return seen(select_stream_.query(stream_id(stream).text()), false); }
    std::int64_t read_page(std::uint64_t position) { return seen(select_page_.query(position, page_size), true); }

private:
    /// Looks at every column, as whoever shows the event has to.
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
        connection_, "SELECT position, version, recorded_at, id, kind, metadata, payload FROM by_hand.events "
                     "WHERE stream = (SELECT id FROM by_hand.streams WHERE name = $1) ORDER BY version"};
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
