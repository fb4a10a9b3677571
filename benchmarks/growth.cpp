// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// growth/, growth_by_streams/   what an append, a load and a page of the log cost as a log has more events, and more streams: in
//                               memory against maps and a deque, in SQLite against the same tables by hand (support/growth.hpp)
#include "support/folder.hpp"
#include "support/growing_store.hpp"
#include "support/memory_by_hand.hpp"

#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/sqlite/event_store.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace {

using namespace benchmarks;
namespace sqlite = escqrs::sqlite;

struct MemoryStore : GrowingStore<escqrs::in_memory::EventStore> {
    explicit MemoryStore(const Shape& shape) : GrowingStore{make(shape), shape} {}

    static std::unique_ptr<escqrs::in_memory::EventStore> make(const Shape& shape)
    {
        auto store = std::make_unique<escqrs::in_memory::EventStore>();
        shape.for_each_part([&](std::uint64_t stream, std::uint64_t count) { append_to(*store, stream, count); });
        return store;
    }
};

/// Fills a database with the event store's tables, as fast as SQLite can.
void fill_tables(const std::string& path, const Shape& shape)
{
    constexpr std::uint64_t events_per_transaction = 100'000;
    sqlite::Database database{path, sqlite::detail::event_log_schema};
    database.execute("PRAGMA cache_size = -4000000; PRAGMA synchronous = OFF");
    sqlite::Statement kind{database, "INSERT INTO event_kinds VALUES (1, ?, 1, ?)"};
    sqlite::Statement insert_stream{database, "INSERT INTO streams VALUES (?, ?)"};
    sqlite::Statement insert_event{database, "INSERT INTO events VALUES (?, ?, ?, ?, ?, 1, 0, ?, ?)"};
    kind.run(event_type, content_type);
    std::optional<sqlite::Transaction> transaction{database};
    std::uint64_t position = 0;
    std::vector<std::uint64_t> versions(shape.streams);
    shape.for_each_part([&](std::uint64_t stream, std::uint64_t count) {
        if (versions[stream] == 0) insert_stream.run(stream + 1, stream_id(stream).text());
        for (std::uint64_t index = 0; index < count; ++index) {
            const escqrs::Uuid id = escqrs::time_ordered_uuid();
            insert_event.run(++position, stream + 1, ++versions[stream], index, std::as_bytes(std::span{id.data}),
                             bytes(metadata), bytes(payload));
        }
        if (position % events_per_transaction != 0) return;
        transaction->commit();
        transaction.reset();
        transaction.emplace(database);
    });
    transaction->commit();
}

/// A separate filled database for each contestant; all are copies of one.
std::string filled_database(const std::string& name, const Shape& shape)
{
    static Shape filled{};
    const std::string original = folder() + "/filled.db";
    if (filled != shape) fill_tables(new_database("filled.db"), shape);
    filled = shape;
    std::string path = new_database(name);
    std::filesystem::copy_file(original, path);
    return path;
}

struct SqliteStore : GrowingStore<sqlite::EventStore> {
    explicit SqliteStore(const Shape& shape)
        : GrowingStore{std::make_unique<sqlite::EventStore>(filled_database("store.db", shape)), shape}
    {
    }
};

class SqliteByHand {
public:
    explicit SqliteByHand(const Shape& shape)
        : database_{filled_database("by_hand.db", shape), sqlite::detail::event_log_schema},
          versions_(shape.streams, shape.events_per_stream), position_{shape.events()}
    {
    }

    std::int64_t append(std::uint64_t stream)
    {
        sqlite::Transaction transaction{database_};
        insert(stream);
        transaction.commit();
        return 1;
    }
    std::int64_t load(std::uint64_t stream)
    {
        return seen(select_stream_.query(stream_id(stream).text(), last_ten(versions_[stream])), false);
    }
    std::int64_t read_page(std::uint64_t position) { return seen(select_page_.query(position, page_size), true); }

private:
    void insert(std::uint64_t stream)
    {
        const escqrs::Uuid id = escqrs::time_ordered_uuid();
        insert_event_.run(++position_, stream + 1, ++versions_[stream], 0, std::as_bytes(std::span{id.data}),
                          bytes(metadata), bytes(payload));
    }
    /// Looks at every column, as showing the event requires.
    static std::int64_t seen(sqlite::Rows rows, bool with_name)
    {
        std::int64_t count = 0;
        while (rows.next()) {
            for (const int column : {0, 1, 3, 4}) benchmark::DoNotOptimize(rows.integer(column));
            for (const int column : {2, 5}) benchmark::DoNotOptimize(rows.blob(column).data());
            if (with_name) benchmark::DoNotOptimize(rows.text(7).data());
            count += rows.blob(6).front() == std::byte{'p'} ? 1 : 0;
        }
        return count;
    }

    sqlite::Database database_;
    std::vector<std::uint64_t> versions_;
    std::uint64_t position_;
    sqlite::Statement insert_event_{database_, "INSERT INTO events VALUES (?, ?, ?, ?, ?, 1, 0, ?, ?)"};
    sqlite::Statement select_stream_{
        database_, "SELECT position, version, id, kind, recorded_at, metadata, payload FROM events "
                   "WHERE stream = (SELECT id FROM streams WHERE name = ?) AND version >= ? ORDER BY version"};
    sqlite::Statement select_page_{
        database_, "SELECT position, version, events.id, kind, recorded_at, metadata, payload, name "
                   "FROM events JOIN streams ON streams.id = stream WHERE position > ? ORDER BY position LIMIT ?"};
};

} // namespace

int main(int argc, char** argv)
{
    add_growth<MemoryStore>("memory", "escqrs", 1000);
    add_growth<MemoryByHand>("memory", "by_hand", 1000);
    add_growth<SqliteStore>("sqlite", "escqrs", 200);
    add_growth<SqliteByHand>("sqlite", "by_hand", 200);
    benchmark::Initialize(&argc, argv);
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
