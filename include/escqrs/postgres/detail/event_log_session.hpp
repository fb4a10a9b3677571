// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/event_store.hpp>
#include <escqrs/postgres/detail/event_page.hpp>
#include <escqrs/postgres/schema.hpp>
#include <escqrs/postgres/statement.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace escqrs::postgres::detail {

/// A snapshot, copied out of the database.
struct SnapshotCopy {
    StreamVersion version;
    unsigned schema_version;
    std::string content_type;
    std::vector<std::byte> payload;
};

/// What to ask the server for a page of events.
struct PageRequest {
    std::string query;
    int columns;         ///< of each row
    std::size_t at_most; ///< rows
};

/// What `filter` asks for, as the rest of an SQL condition on events `e` and their streams `s`.
///
/// There is no index by kind: it would cost every append, and a read that matches more than a few events is faster by position.
inline std::string condition_of(const EventFilter& filter, const std::string& schema)
{
    std::string sql;
    if (!filter.types.empty()) {
        sql += " AND e.kind = ANY (ARRAY(SELECT id FROM " + schema + ".event_kinds WHERE type IN (";
        for (const std::string& type : filter.types) sql.append(literal(type)).append(1, ',');
        sql.back() = ')';
        sql += "))";
    }
    if (!filter.categories.empty()) {
        sql += " AND (false";
        for (const std::string& category : filter.categories) {
            if (category.empty() || category.find('-') != std::string::npos) continue; // no stream has such a category
            // All that begins with "category-": '.' follows '-' in ASCII, and the column goes by bytes.
            sql += " OR (s.name >= " + literal(category + '-') + " AND s.name < " + literal(category + '.') + ')';
        }
        sql += ')';
    }
    return sql;
}

/// A connection that reads the log, with its prepared statements.
/// @par Thread safety  one thread at a time
class EventLogSession {
public:
    static constexpr std::size_t first_page_size = 64;

    EventLogSession(Connection& connection, const std::string& schema)
        : connection_{&connection}, schema_{quoted(schema)},
          select_readable_{connection, "SELECT " + schema_ + ".readable_until()"},
          select_last_{connection, "SELECT max(position) FROM " + schema_ + ".events"},
          select_log_id_{connection, "SELECT id FROM " + schema_ + ".log"},
          select_place_{connection, "SELECT name, version, position FROM " + schema_ + ".event_keys k JOIN " + schema_ +
                                        ".streams s ON s.id = k.stream WHERE k.id = $1"},
          select_kind_{connection,
                       "SELECT type, schema_version, content_type FROM " + schema_ + ".event_kinds WHERE id = $1"},
          select_snapshot_{connection, "SELECT version, schema_version, content_type, payload FROM " + schema_ +
                                           ".snapshots WHERE stream = (SELECT id FROM " + schema_ +
                                           ".streams WHERE name = $1)"},
          write_snapshot_{connection, "SELECT " + schema_ + ".write_snapshot($1, $2, $3, $4, $5)"},
          select_stream_{connection, stream_query("$1", "$2", first_page_size)}
    {
    }

    /// The queries of a page, from the SQL of its bounds.
    std::string stream_query(const std::string& stream, const std::string& version, std::size_t at_most) const
    {
        return "SELECT position, version, recorded_at, id, kind, metadata, payload FROM " + schema_ +
               ".stream_events WHERE stream = (SELECT id FROM " + schema_ + ".streams WHERE name = " + stream +
               ") AND version >= " + version + " ORDER BY version LIMIT " + std::to_string(at_most);
    }
    std::string log_query(const std::string& position, const std::string& end, const std::string& condition,
                          std::size_t at_most) const
    {
        return "SELECT e.position, e.version, e.recorded_at, e.id, e.kind, e.metadata, e.payload, s.name FROM " +
               schema_ + ".events e JOIN " + schema_ + ".streams s ON s.id = e.stream WHERE e.position > " + position +
               " AND e.position <= " + end + condition + " ORDER BY e.position LIMIT " + std::to_string(at_most);
    }

    /// Reads the first `first_page_size` events of a stream, from `version` on: most streams are no longer, and a prepared
    /// query takes half the time of the COPY that is better at long ones.
    /// @return whether there was nothing more behind them
    bool read_stream_begin(const StreamId& stream, std::uint64_t version, EventPage& page)
    {
        select_stream_.begin(stream.text(), version);
        return receive_first(page);
    }

    /// The same of the log: what `filter` asks for, behind `position` and up to `end`, which must be readable.
    bool read_log_begin(std::uint64_t position, std::uint64_t end, const EventFilter& filter, EventPage& page)
    {
        const std::string condition = condition_of(filter, schema_);
        const auto select =
            select_log_.try_emplace(condition, *connection_, log_query("$1", "$2", condition, first_page_size));
        select.first->second.begin(position, end);
        return receive_first(page);
    }

    /// A page of up to `at_most` events of a stream, from `version` on.
    PageRequest stream_page(const StreamId& stream, std::uint64_t version, std::size_t at_most) const;

    /// A page of up to `at_most` events that `filter` asks for, behind `position` and up to `end`, which must be readable.
    PageRequest log_page(std::uint64_t position, std::uint64_t end, std::size_t at_most,
                         const EventFilter& filter) const;

    /// Has the server begin to send a page. Nothing else can be asked before it has been received.
    void begin(const PageRequest& request);

    /// Receives the page that was begun.
    /// @return whether there was nothing more behind it
    bool receive(const PageRequest& request, EventPage& page);

    /// Gives up a page that was begun, and the connection with it.
    void abandon() noexcept { connection_->close(); }

    /// The position of the last event up to which nothing will turn up any more.
    GlobalPosition readable_until() { return position(select_readable_); }

    LogId log_id();

    /// The position of the last event that is stored.
    GlobalPosition last() { return position(select_last_); }

    std::optional<EventLocation> locate(const EventId& id);
    EventKind kind(std::int32_t id);
    std::optional<SnapshotCopy> read_snapshot(const StreamId& stream);
    void write_snapshot(const StreamId& stream, const Snapshot& snapshot)
    {
        write_snapshot_.run(stream.text(), snapshot.version.value(), snapshot.schema_version, snapshot.content_type,
                            snapshot.payload);
    }

private:
    static constexpr std::size_t max_page_bytes = 4 * 1024 * 1024;

    static GlobalPosition position(Statement& select)
    {
        auto rows = select.query();
        return GlobalPosition{rows.next() ? static_cast<std::uint64_t>(rows.integer(0)) : 0};
    }
    bool receive_first(EventPage& page);
    bool receive_rows(const PageRequest& request, EventPage& page);
    template <class Take>
    bool take_if_room(EventPage& page, bool is_whole, Take take);
    void check_end(bool is_whole, Result end, std::string_view what);
    static bool is_cancelled(const PGresult* answer) noexcept
    {
        const char* const state = PQresultErrorField(answer, PG_DIAG_SQLSTATE);
        return state != nullptr && std::string_view{state} == "57014";
    }

    Connection* connection_;
    std::string schema_;
    Statement select_readable_;
    Statement select_last_;
    Statement select_log_id_;
    Statement select_place_;
    Statement select_kind_;
    Statement select_snapshot_;
    Statement write_snapshot_;
    Statement select_stream_;
    std::unordered_map<std::string, Statement> select_log_; ///< by condition
};

inline PageRequest EventLogSession::stream_page(const StreamId& stream, std::uint64_t version,
                                                std::size_t at_most) const
{
    return {stream_query(literal(stream.text()), std::to_string(version), at_most), 7, at_most};
}

inline PageRequest EventLogSession::log_page(std::uint64_t position, std::uint64_t end, std::size_t at_most,
                                             const EventFilter& filter) const
{
    return {log_query(std::to_string(position), std::to_string(end), condition_of(filter, schema_), at_most), 8,
            at_most};
}

inline void EventLogSession::begin(const PageRequest& request)
{
    const std::string copy = "COPY (" + request.query + ") TO STDOUT (FORMAT binary)";
    connection_->send([&](PGconn* handle) { return PQsendQuery(handle, copy.c_str()); }, request.query);
}

inline bool EventLogSession::receive(const PageRequest& request, EventPage& page)
{
    page.clear();
    Result answer = connection_->next_result(request.query);
    const bool is_begun = PQresultStatus(answer.get()) == PGRES_COPY_OUT;
    const bool is_whole = !is_begun || receive_rows(request, page);
    if (is_begun) answer = connection_->next_result(request.query);
    (void)connection_->last_result(request.query);
    check_end(is_whole, std::move(answer), request.query);
    page.parse(request.columns);
    return is_whole && page.size() < request.at_most;
}

/// @return false if the page has become too large before it was at its end
inline bool EventLogSession::receive_rows(const PageRequest& request, EventPage& page)
{
    bool is_whole = true;
    while (true) {
        char* data = nullptr;
        const int size = PQgetCopyData(connection_->handle(), &data, 1); // a row, or all that is left of the form
        if (size < 0 || (size == 0 && !connection_->take_in(request.query))) return is_whole;
        if (size == 0) continue;
        const std::unique_ptr<char, decltype(&PQfreemem)> owned{data, &PQfreemem};
        is_whole = take_if_room(page, is_whole, [&] { page.append({data, static_cast<std::size_t>(size)}); });
    }
}

/// Receives the answer of a query that was begun.
inline bool EventLogSession::receive_first(EventPage& page)
{
    page.clear();
    Result end;
    bool is_whole = true;
    int columns = 0;
    while (Result answer = connection_->next_result("reading events")) {
        if (PQresultStatus(answer.get()) == PGRES_SINGLE_TUPLE) {
            columns = PQnfields(answer.get());
            is_whole = take_if_room(page, is_whole, [&] { page.append_row(answer.get()); });
        } else {
            end = std::move(answer);
        }
    }
    if (is_whole && columns != 0) page.cut();
    check_end(is_whole, std::move(end), "reading events");
    if (columns != 0) page.parse(columns);
    return is_whole && page.size() < first_page_size;
}

/// Takes one more row, unless the page is too large by now: then it ends here, and the query is cancelled.
/// @param is_whole  what was returned the last time
template <class Take>
bool EventLogSession::take_if_room(EventPage& page, bool is_whole, Take take)
{
    if (!is_whole) return false;
    if (page.bytes() > max_page_bytes) {
        page.cut();
        connection_->cancel();
        return false;
    }
    try {
        take();
    } catch (...) {
        connection_->close(); // in the midst of an answer
        throw;
    }
    return true;
}

/// Looks at how an answer ended: if it was cut, by the cancellation.
inline void EventLogSession::check_end(bool is_whole, Result end, std::string_view what)
{
    if (is_whole) connection_->check(end.release(), what);
    else if (!is_cancelled(end.get())) connection_->close(); // the cancellation may still come, to another statement
}

inline LogId EventLogSession::log_id()
{
    auto rows = select_log_id_.query();
    if (!rows.next()) {
        throw StoreError{"postgres '" + connection_->where() + "': expected the log's id in schema " + schema_ +
                         ", found none"};
    }
    return LogId{rows.uuid(0)};
}

inline std::optional<EventLocation> EventLogSession::locate(const EventId& id)
{
    auto rows = select_place_.query(id);
    if (!rows.next()) return std::nullopt;
    return EventLocation{StreamId::parse(rows.text(0)), StreamVersion{static_cast<std::uint64_t>(rows.integer(1))},
                         GlobalPosition{static_cast<std::uint64_t>(rows.integer(2))}};
}

inline EventKind EventLogSession::kind(std::int32_t id)
{
    auto rows = select_kind_.query(id);
    if (!rows.next()) {
        throw StoreError{"postgres '" + connection_->where() + "': no event kind " + std::to_string(id) +
                         " in schema " + schema_ + ", which is damaged"};
    }
    return {std::string{rows.text(0)}, static_cast<unsigned>(rows.integer(1)), std::string{rows.text(2)}};
}

inline std::optional<SnapshotCopy> EventLogSession::read_snapshot(const StreamId& stream)
{
    auto rows = select_snapshot_.query(stream.text());
    if (!rows.next()) return std::nullopt;
    const Bytes payload = rows.blob(3);
    return SnapshotCopy{StreamVersion{static_cast<std::uint64_t>(rows.integer(0))},
                        static_cast<unsigned>(rows.integer(1)),
                        std::string{rows.text(2)},
                        {payload.begin(), payload.end()}};
}

} // namespace escqrs::postgres::detail
