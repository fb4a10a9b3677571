// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/config.hpp>
#include <escqrs/core/hex.hpp>
#include <escqrs/core/recent_map.hpp>
#include <escqrs/sqlite/database.hpp>
#include <escqrs/store/event_store.hpp>

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace escqrs::inline v0::sqlite::detail {

/// The largest number that an SQLite column can hold; no version or position comes near it.
inline constexpr std::uint64_t max_number = std::numeric_limits<std::int64_t>::max();

/// Some consecutive events, copied out of the database.
///
/// A sink may take as long as it likes over them, and use the store, while no snapshot of the database is held.
class EventPage {
public:
    std::size_t size() const noexcept { return rows_.size(); }
    std::uint64_t position(std::size_t index) const noexcept { return rows_[index].position; }
    std::uint64_t version(std::size_t index) const noexcept { return rows_[index].version; }

    /// Whether there was nothing more when the page was read.
    bool is_last() const noexcept { return is_last_; }

    /// Name of the event's stream; empty if the page is of one stream.
    std::string_view stream_name(std::size_t index) const noexcept;

    RecordedEvent event(std::size_t index, const StreamId& stream) const noexcept;

private:
    friend class EventLogReader;

    struct Kind {
        std::string type;
        unsigned schema_version;
        std::string content_type;
    };
    struct Row {
        std::uint64_t position;
        std::uint64_t version;
        Timestamp recorded_at;
        EventId id;
        const Kind* kind; ///< lives as long as its reader
        /// In `bytes_`, of metadata, payload and the stream's name.
        std::size_t offset;
        std::size_t metadata_size;
        std::size_t payload_size;
        std::size_t name_size;
    };

    std::vector<Row> rows_;
    std::vector<std::byte> bytes_;
    bool is_last_ = false;
};

/// `text` as an SQL expression, whatever its bytes.
ESCQRS_INLINE std::string sql_text(std::string_view text);

/// What `filter` matches, as the rest of an SQL condition on `events` joined with `streams`.
///
/// The rows are gone through by position; the unary `+` keeps SQLite from another order, which it would have to sort. There
/// is no index by kind: where one event in a thousand matches, going through ten million rows takes about a second, once for
/// each new read model, while the index made every append a sixth dearer, and reads that match more than a few events slower.
ESCQRS_INLINE std::string condition_of(const EventFilter& filter);

#if ESCQRS_HAS_BODIES

ESCQRS_INLINE std::string sql_text(std::string_view text) { return "CAST(x'" + to_hex(text) + "' AS TEXT)"; }

ESCQRS_INLINE std::string condition_of(const EventFilter& filter)
{
    constexpr std::size_t max_ranges = 32;
    std::string sql;
    if (!filter.types.empty()) {
        sql += " AND +kind IN (SELECT id FROM event_kinds WHERE type IN (";
        for (const std::string& type : filter.types) sql.append(sql_text(type)).append(1, ',');
        sql.back() = ')';
        sql += ')';
    }
    if (filter.categories.size() > max_ranges) { // SQLite takes no more than 1,000 in one expression
        sql += " AND substr(+name, 1, instr(+name, '-') - 1) IN (";
        for (const std::string& category : filter.categories) sql.append(sql_text(category)).append(1, ',');
        sql.back() = ')';
    } else if (!filter.categories.empty()) {
        sql += " AND (0";
        for (const std::string& category : filter.categories) {
            if (category.empty() || category.find('-') != std::string::npos) continue; // no stream has such a category
            // All that begins with "category-": '.' follows '-' in ASCII.
            sql += " OR (+name >= " + sql_text(category + '-') + " AND +name < " + sql_text(category + '.') + ')';
        }
        sql += ')';
    }
    return sql;
}

#endif // ESCQRS_HAS_BODIES

/// A snapshot, copied out of the database.
struct SnapshotCopy {
    StreamVersion version;
    unsigned schema_version;
    std::string content_type;
    std::vector<std::byte> payload;
};

/// A connection that reads the log, with its prepared statements.
/// @par Thread safety  one thread at a time
class EventLogReader {
public:
    explicit EventLogReader(const Database& writer) : database_{SameFile{writer}}
    {
        database_.execute("PRAGMA query_only = ON");
    }

    /// Reads up to `at_most` events of a stream from `version` on.
    void read_stream(const StreamId& stream, std::uint64_t version, std::size_t at_most, EventPage& page);

    /// Reads up to `at_most` events after `position`.
    void read_log(std::uint64_t position, std::size_t at_most, EventPage& page);

    /// Reads up to `at_most` events that `filter` matches, after `position` and up to `end`.
    void read_log(std::uint64_t position, std::uint64_t end, std::size_t at_most, const EventFilter& filter,
                  EventPage& page);
    std::optional<SnapshotCopy> read_snapshot(const StreamId& stream);

    LogId log_id();
    GlobalPosition head();
    std::optional<EventLocation> locate(const EventId& id);

private:
    static constexpr std::size_t max_page_bytes = 1024 * 1024;
    static constexpr std::size_t max_filters_remembered = 32;

    void fill(EventPage& page, Rows rows, std::size_t at_most, bool with_name);
    const EventPage::Kind* find_kind(std::int64_t id);

    Database database_;
    std::unordered_map<std::int64_t, std::unique_ptr<const EventPage::Kind>> kinds_;     ///< kinds stay as they are
    escqrs::detail::RecentMap<std::string, Statement> filtered_{max_filters_remembered}; ///< by condition
    Statement select_stream_{
        database_, "SELECT position, version, id, kind, recorded_at, metadata, payload FROM events "
                   "WHERE stream = (SELECT id FROM streams WHERE name = ?) AND version >= ? ORDER BY version LIMIT ?"};
    Statement select_log_{database_,
                          "SELECT position, version, events.id, kind, recorded_at, metadata, payload, name FROM events "
                          "JOIN streams ON streams.id = events.stream WHERE position > ? ORDER BY position LIMIT ?"};
    Statement select_snapshot_{database_, "SELECT version, schema_version, content_type, payload FROM snapshots "
                                          "WHERE stream = (SELECT id FROM streams WHERE name = ?)"};
    Statement select_log_id_{database_, "SELECT id FROM log"};
    Statement select_head_{database_, "SELECT max(position) FROM events"};
    Statement select_place_{database_, "SELECT name, version, position FROM events "
                                       "JOIN streams ON streams.id = events.stream WHERE events.id = ?"};
    Statement select_kind_{database_, "SELECT type, schema_version, content_type FROM event_kinds WHERE id = ?"};
};

/// Readers for many threads at once, at most a fixed number; a caller that finds all of them busy waits for one.
/// @par Thread safety  may be called from any thread
class EventLogReaders {
public:
    /// @param writer  has the file open; must outlive this
    EventLogReaders(const Database& writer, std::size_t at_most) : writer_{&writer}, at_most_{at_most} {}

    /// Calls `use(reader)`, which must not take another reader.
    template <class Use>
    auto with_one(Use use)
    {
        const Lease lease{*this};
        return use(*lease.reader);
    }

private:
    struct Lease {
        explicit Lease(EventLogReaders& from) : readers{from}, reader{from.take()} {}
        Lease(const Lease&) = delete;
        Lease& operator=(const Lease&) = delete;
        ~Lease() { readers.give_back(reader); }

        EventLogReaders& readers;
        EventLogReader* reader;
    };

    EventLogReader* take();
    void give_back(EventLogReader* reader) noexcept;

    const Database* writer_;
    std::size_t at_most_;

    std::mutex mutex_;
    std::condition_variable returned_;
    std::vector<EventLogReader*> idle_;
    /// Until the end: pages refer to their kinds.
    std::vector<std::unique_ptr<EventLogReader>> all_;
};

#if ESCQRS_HAS_BODIES

ESCQRS_INLINE std::string_view EventPage::stream_name(std::size_t index) const noexcept
{
    const Row& row = rows_[index];
    const std::byte* const name = bytes_.data() + row.offset + row.metadata_size + row.payload_size;
    return {reinterpret_cast<const char*>(name), row.name_size}; // NOLINT: char aliases
}

ESCQRS_INLINE RecordedEvent EventPage::event(std::size_t index, const StreamId& stream) const noexcept
{
    const Row& row = rows_[index];
    const Bytes bytes{bytes_.data() + row.offset, row.metadata_size + row.payload_size};
    return {stream,
            StreamVersion{row.version},
            GlobalPosition{row.position},
            row.recorded_at,
            row.id,
            row.kind->type,
            row.kind->schema_version,
            row.kind->content_type,
            bytes.subspan(row.metadata_size),
            bytes.first(row.metadata_size)};
}

ESCQRS_INLINE void EventLogReader::read_stream(const StreamId& stream, std::uint64_t version, std::size_t at_most,
                                               EventPage& page)
{
    fill(page, select_stream_.query(stream.text(), version, at_most), at_most, false);
}

ESCQRS_INLINE void EventLogReader::read_log(std::uint64_t position, std::size_t at_most, EventPage& page)
{
    fill(page, select_log_.query(position, at_most), at_most, true);
}

ESCQRS_INLINE void EventLogReader::read_log(std::uint64_t position, std::uint64_t end, std::size_t at_most,
                                            const EventFilter& filter, EventPage& page)
{
    const std::string condition = condition_of(filter);
    Statement* select = filtered_.find(condition);
    if (select == nullptr) {
        select = &filtered_.find_or_emplace(
            condition, database_,
            "SELECT position, version, events.id, kind, recorded_at, metadata, payload, name FROM events "
            "CROSS JOIN streams ON streams.id = events.stream WHERE position > ? AND position <= ?" +
                condition + " ORDER BY position LIMIT ?");
    }
    fill(page, select->query(position, end, at_most), at_most, true);
}

ESCQRS_INLINE void EventLogReader::fill(EventPage& page, Rows rows, std::size_t at_most, bool with_name)
{
    page.rows_.clear();
    page.bytes_.clear();
    page.is_last_ = false;
    const auto copy = [&](Bytes bytes) { page.bytes_.insert(page.bytes_.end(), bytes.begin(), bytes.end()); };
    const EventPage::Kind* kind = nullptr;
    std::int64_t kind_id = 0;
    while (page.rows_.size() < at_most && page.bytes_.size() < max_page_bytes) {
        if (!rows.next()) {
            page.is_last_ = true;
            return;
        }
        if (rows.integer(3) != kind_id) {
            kind_id = rows.integer(3);
            kind = find_kind(kind_id);
        }
        Uuid id{};
        const Bytes id_bytes = rows.blob(2);
        std::memcpy(id.data, id_bytes.data(), std::min(id_bytes.size(), sizeof id.data));
        const Bytes metadata = rows.blob(5);
        const Bytes payload = rows.blob(6);
        const std::string_view name = with_name ? rows.text(7) : std::string_view{};
        page.rows_.push_back({static_cast<std::uint64_t>(rows.integer(0)), static_cast<std::uint64_t>(rows.integer(1)),
                              rows.time(4), EventId{id}, kind, page.bytes_.size(), metadata.size(), payload.size(),
                              name.size()});
        copy(metadata);
        copy(payload);
        copy(std::as_bytes(std::span{name}));
    }
}

ESCQRS_INLINE const EventPage::Kind* EventLogReader::find_kind(std::int64_t id)
{
    auto& kind = kinds_[id];
    if (!kind) {
        auto rows = select_kind_.query(id);
        if (!rows.next()) {
            throw StoreError{"sqlite '" + database_.path() + "': no event kind " + std::to_string(id) +
                             "; the file is damaged"};
        }
        kind = std::make_unique<const EventPage::Kind>(EventPage::Kind{
            std::string{rows.text(0)}, static_cast<unsigned>(rows.integer(1)), std::string{rows.text(2)}});
    }
    return kind.get();
}

ESCQRS_INLINE std::optional<SnapshotCopy> EventLogReader::read_snapshot(const StreamId& stream)
{
    auto rows = select_snapshot_.query(stream.text());
    if (!rows.next()) return std::nullopt;
    const Bytes payload = rows.blob(3);
    return SnapshotCopy{StreamVersion{static_cast<std::uint64_t>(rows.integer(0))},
                        static_cast<unsigned>(rows.integer(1)),
                        std::string{rows.text(2)},
                        {payload.begin(), payload.end()}};
}

ESCQRS_INLINE GlobalPosition EventLogReader::head()
{
    auto rows = select_head_.query();
    return GlobalPosition{rows.next() ? static_cast<std::uint64_t>(rows.integer(0)) : 0};
}

ESCQRS_INLINE LogId EventLogReader::log_id()
{
    auto rows = select_log_id_.query();
    if (!rows.next()) throw StoreError{"sqlite '" + database_.path() + "': expected the log's id, found none"};
    return LogId::parse(rows.text(0));
}

ESCQRS_INLINE std::optional<EventLocation> EventLogReader::locate(const EventId& id)
{
    auto rows = select_place_.query(std::as_bytes(std::span{id.value().data}));
    if (!rows.next()) return std::nullopt;
    return EventLocation{StreamId::parse(rows.text(0)), StreamVersion{static_cast<std::uint64_t>(rows.integer(1))},
                         GlobalPosition{static_cast<std::uint64_t>(rows.integer(2))}};
}

ESCQRS_INLINE EventLogReader* EventLogReaders::take()
{
    writer_->check_process(); // in a fork, the threads that have the readers are gone
    std::unique_lock lock{mutex_};
    returned_.wait(lock, [&] { return !idle_.empty() || all_.size() < at_most_; });
    if (idle_.empty()) {
        idle_.reserve(all_.size() + 1);
        all_.push_back(std::make_unique<EventLogReader>(*writer_));
        return all_.back().get();
    }
    EventLogReader* const reader = idle_.back();
    idle_.pop_back();
    return reader;
}

ESCQRS_INLINE void EventLogReaders::give_back(EventLogReader* reader) noexcept
{
    {
        const std::scoped_lock lock{mutex_};
        idle_.push_back(reader); // within its capacity
    }
    returned_.notify_one();
}

#endif // ESCQRS_HAS_BODIES

} // namespace escqrs::inline v0::sqlite::detail
