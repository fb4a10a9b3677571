// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// growth/   what an append, a load and a page of the log cost in logs of 10^3 to 10^7 events, 10 to a stream: in memory beside
//           maps and a deque, in SQLite beside the same tables by hand
#include "support/folder.hpp"
#include "support/growing_store.hpp"
#include "support/memory_by_hand.hpp"

#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/sqlite/event_store.hpp>

namespace {

using namespace benchmarks;
namespace sqlite = escqrs::sqlite;

struct MemoryStore : GrowingStore<escqrs::in_memory::EventStore> {
    explicit MemoryStore(std::uint64_t streams) : GrowingStore{make(streams)} {}

    static std::unique_ptr<escqrs::in_memory::EventStore> make(std::uint64_t streams)
    {
        auto store = std::make_unique<escqrs::in_memory::EventStore>();
        fill(*store, streams);
        return store;
    }
};

struct SqliteStore : GrowingStore<sqlite::EventStore> {
    explicit SqliteStore(std::uint64_t streams) : GrowingStore{make(streams)} {}

    static std::unique_ptr<sqlite::EventStore> make(std::uint64_t streams)
    {
        const std::string path = new_database("store.db");
        sqlite::EventStore filling{path, {.synchronous = sqlite::Synchronous::normal}};
        fill(filling, streams);
        return std::make_unique<sqlite::EventStore>(path);
    }
};

class SqliteByHand {
public:
    explicit SqliteByHand(std::uint64_t streams)
        : database_{new_database("by_hand.db"), sqlite::detail::event_log_schema}
    {
        database_.execute("INSERT INTO event_kinds VALUES (1, 'type', 1, 'content')");
        sqlite::Transaction filling{database_};
        for (std::uint64_t stream = 0; stream < streams; ++stream)
            insert_stream_.run(stream + 1, "stream-" + std::to_string(stream));
        versions_.resize(streams);
        for (std::int64_t part = 0; part < events_per_stream / events_per_part; ++part) {
            for (std::uint64_t stream = 0; stream < streams; ++stream) {
                for (std::int64_t event = 0; event < events_per_part; ++event) insert(stream);
            }
        }
        filling.commit();
    }

    std::int64_t append(std::uint64_t stream)
    {
        sqlite::Transaction transaction{database_};
        insert(stream);
        transaction.commit();
        return 1;
    }
    std::int64_t load(std::uint64_t stream) { return seen(select_stream_.query("stream-" + std::to_string(stream))); }
    std::int64_t read_page(std::uint64_t position) { return seen(select_page_.query(position, page_size)); }

private:
    void insert(std::uint64_t stream)
    {
        const escqrs::Uuid id = escqrs::random_uuid();
        insert_event_.run(++position_, stream + 1, ++versions_[stream], 0, std::as_bytes(std::span{id.data}), 1, 0,
                          bytes(metadata), bytes(payload));
    }
    static std::int64_t seen(sqlite::Rows rows)
    {
        std::int64_t count = 0;
        while (rows.next()) count += rows.blob(6).front() == std::byte{'p'} ? 1 : 0;
        return count;
    }

    sqlite::Database database_;
    std::vector<std::uint64_t> versions_;
    std::uint64_t position_ = 0;
    sqlite::Statement insert_stream_{database_, "INSERT INTO streams VALUES (?, ?)"};
    sqlite::Statement insert_event_{database_, "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"};
    sqlite::Statement select_stream_{database_,
                                     "SELECT position, version, id, kind, recorded_at, metadata, payload FROM events "
                                     "WHERE stream = (SELECT id FROM streams WHERE name = ?) ORDER BY version"};
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
