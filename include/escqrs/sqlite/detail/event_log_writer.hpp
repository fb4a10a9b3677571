// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/config.hpp>
#include <escqrs/core/clock.hpp>
#include <escqrs/core/recent_map.hpp>
#include <escqrs/sqlite/database.hpp>
#include <escqrs/store/event_store.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace escqrs::inline v0::sqlite::detail {

/// An id as SQLite stores it.
inline Bytes bytes_of(const EventId& id) noexcept { return std::as_bytes(std::span{id.value().data}); }

/// Appends events within a transaction that the caller begins and commits.
/// @par Thread safety  as its database: one thread at a time
class EventLogWriter {
public:
    EventLogWriter(Database& database, Clock& clock) : database_{&database}, clock_{&clock} {}

    AppendResult append(const StreamId& name, ExpectedVersion expected, std::span<const NewEvent> events);

    /// Keeps a stream's snapshot in place of the previous one; does nothing if there is no such stream.
    void write_snapshot(const StreamId& name, const Snapshot& snapshot);

private:
    struct Stream {
        std::int64_t id = 0; ///< 0: not stored yet
        std::uint64_t version = 0;
    };
    struct Kind {
        std::string type;
        unsigned schema_version;
        std::string content_type;
        std::int64_t id;
    };
    struct Place {
        std::int64_t stream;
        std::uint64_t version;
        std::uint64_t position;
        std::uint64_t index_in_append;
    };

    void forget_what_may_be_stale();
    Stream find_stream(const StreamId& name);
    std::int64_t find_or_add_kind(const NewEvent& event);
    std::optional<AppendResult> find_repeat(const StreamId& name, std::span<const NewEvent> events);
    std::optional<Place> find_event(const EventId& id);
    bool is_inside_append(const Place& place);

    static constexpr std::size_t max_streams_remembered = 65'536;

    Database* database_;
    Clock* clock_;

    // What the file holds as seen by the transaction that is open, or the last one. It is stale if another connection
    // has written since, or if anything was rolled back.
    escqrs::detail::RecentMap<StreamId, Stream> streams_{max_streams_remembered};
    std::vector<Kind> kinds_; ///< few: searched one by one
    std::uint64_t last_position_ = 0;
    std::uint64_t seen_transactions_ = 0;
    std::uint64_t seen_rollbacks_ = 0;
    std::int64_t seen_data_version_ = 0;

    Statement data_version_{*database_, "PRAGMA data_version"};
    Statement select_last_position_{*database_, "SELECT max(position) FROM events"};
    Statement select_stream_{*database_, "SELECT id, (SELECT max(version) FROM events WHERE stream = streams.id) "
                                         "FROM streams WHERE name = ?"};
    Statement insert_stream_{*database_, "INSERT INTO streams (name) VALUES (?)"};
    Statement select_kind_{*database_,
                           "SELECT id FROM event_kinds WHERE type = ? AND schema_version = ? AND content_type = ?"};
    Statement insert_kind_{*database_, "INSERT INTO event_kinds (type, schema_version, content_type) VALUES (?, ?, ?)"};
    Statement insert_event_{*database_,
                            "INSERT INTO events (position, stream, version, index_in_append, id, kind, recorded_at, "
                            "metadata, payload) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"};
    Statement select_event_{*database_, "SELECT stream, version, position, index_in_append FROM events WHERE id = ?"};
    Statement select_index_in_append_{*database_,
                                      "SELECT index_in_append FROM events WHERE stream = ? AND version = ?"};
    Statement replace_snapshot_{*database_, "INSERT OR REPLACE INTO snapshots "
                                            "(stream, version, schema_version, content_type, payload) "
                                            "SELECT id, ?, ?, ?, ? FROM streams WHERE name = ?"};
};

#if ESCQRS_HAS_BODIES

ESCQRS_INLINE AppendResult EventLogWriter::append(const StreamId& name, ExpectedVersion expected,
                                                  std::span<const NewEvent> events)
{
    forget_what_may_be_stale();
    Stream stream = find_stream(name);
    const StreamVersion actual{stream.version};
    if (!expected.is_met_by(actual)) {
        if (const auto repeat = find_repeat(name, events)) return *repeat;
        throw ConcurrencyError{name, expected, actual};
    }

    const Timestamp now = clock_->now();
    if (stream.id == 0) {
        insert_stream_.run(name.text());
        stream.id = database_->last_insert_rowid();
    }
    std::uint64_t position = last_position_;
    for (std::size_t index = 0; index < events.size(); ++index) {
        const NewEvent& event = events[index];
        const int inserted = insert_event_.run(++position, stream.id, ++stream.version, index, bytes_of(event.id),
                                               find_or_add_kind(event), now, event.metadata, event.payload);
        if (inserted != 0) continue;
        if (index == 0) {
            if (const auto repeat = find_repeat(name, events)) return *repeat;
        }
        throw DuplicateEventId{name, event.id};
    }

    streams_.insert_or_assign(name, stream);
    last_position_ = position;
    return {StreamVersion{stream.version}, GlobalPosition{position}};
}

ESCQRS_INLINE void EventLogWriter::write_snapshot(const StreamId& name, const Snapshot& snapshot)
{
    replace_snapshot_.run(snapshot.version.value(), snapshot.schema_version, snapshot.content_type, snapshot.payload,
                          name.text());
}

ESCQRS_INLINE void EventLogWriter::forget_what_may_be_stale()
{
    const bool is_same_transaction = seen_transactions_ == database_->transactions();
    if (is_same_transaction && seen_rollbacks_ == database_->rollbacks()) return;

    std::int64_t data_version = 0;
    {
        auto rows = data_version_.query();
        if (rows.next()) data_version = rows.integer(0);
    }
    if (seen_transactions_ == 0 || data_version != seen_data_version_ || seen_rollbacks_ != database_->rollbacks()) {
        streams_.clear();
        kinds_.clear();
        auto rows = select_last_position_.query();
        last_position_ = rows.next() ? static_cast<std::uint64_t>(rows.integer(0)) : 0;
    }
    seen_transactions_ = database_->transactions();
    seen_rollbacks_ = database_->rollbacks();
    seen_data_version_ = data_version;
}

ESCQRS_INLINE EventLogWriter::Stream EventLogWriter::find_stream(const StreamId& name)
{
    if (const Stream* const known = streams_.find(name)) return *known;
    auto rows = select_stream_.query(name.text());
    if (!rows.next()) return {};
    return {rows.integer(0), static_cast<std::uint64_t>(rows.integer(1))};
}

ESCQRS_INLINE std::int64_t EventLogWriter::find_or_add_kind(const NewEvent& event)
{
    for (const Kind& kind : kinds_) {
        const bool is_it = kind.type == event.type && kind.schema_version == event.schema_version &&
                           kind.content_type == event.content_type;
        if (is_it) return kind.id;
    }

    std::int64_t id = 0;
    {
        auto rows = select_kind_.query(event.type, event.schema_version, event.content_type);
        if (rows.next()) id = rows.integer(0);
    }
    if (id == 0) {
        insert_kind_.run(event.type, event.schema_version, event.content_type);
        id = database_->last_insert_rowid();
    }
    kinds_.push_back({std::string{event.type}, event.schema_version, std::string{event.content_type}, id});
    return id;
}

/// Checks whether these events are stored already, as one append of exactly these to this stream.
/// @return where it ended; nothing if none of the ids is stored
/// @throws DuplicateEventId if ids are stored in any other way, or given twice
ESCQRS_INLINE std::optional<AppendResult> EventLogWriter::find_repeat(const StreamId& name,
                                                                      std::span<const NewEvent> events)
{
    const std::int64_t stream = find_stream(name).id;
    std::optional<Place> first;
    std::optional<Place> last;
    for (std::size_t index = 0; index < events.size(); ++index) {
        const auto place = find_event(events[index].id);
        if (index == 0) first = place;
        if (!place && !first) continue; // new, as all before it
        if (!place) throw DuplicateEventId{name, events.front().id};
        const bool is_in_place = first && place->stream == stream && place->index_in_append == index &&
                                 place->version == first->version + index;
        if (!is_in_place) throw DuplicateEventId{name, events[index].id};
        last = place;
    }
    if (last) {
        if (is_inside_append({last->stream, last->version + 1, 0, 0})) throw DuplicateEventId{name, events.front().id};
        return AppendResult{StreamVersion{last->version}, GlobalPosition{last->position}, true};
    }

    std::unordered_set<EventId> ids;
    for (const NewEvent& event : events) {
        if (!ids.insert(event.id).second) throw DuplicateEventId{name, event.id};
    }
    return std::nullopt;
}

ESCQRS_INLINE std::optional<EventLogWriter::Place> EventLogWriter::find_event(const EventId& id)
{
    auto rows = select_event_.query(bytes_of(id));
    if (!rows.next()) return std::nullopt;
    return Place{rows.integer(0), static_cast<std::uint64_t>(rows.integer(1)),
                 static_cast<std::uint64_t>(rows.integer(2)), static_cast<std::uint64_t>(rows.integer(3))};
}

/// Whether there is an event, and not the first of its append.
ESCQRS_INLINE bool EventLogWriter::is_inside_append(const Place& place)
{
    auto rows = select_index_in_append_.query(place.stream, place.version);
    return rows.next() && rows.integer(0) != 0;
}

#endif // ESCQRS_HAS_BODIES

} // namespace escqrs::inline v0::sqlite::detail
