// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/recent_map.hpp>
#include <escqrs/postgres/detail/event_page.hpp>
#include <escqrs/postgres/detail/page_request.hpp>
#include <escqrs/postgres/schema.hpp>
#include <escqrs/postgres/statement.hpp>
#include <escqrs/store/event_store.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace escqrs::inline v0::postgres::detail {

/// A snapshot, copied out of the database.
struct SnapshotCopy {
    StreamVersion version;
    unsigned schema_version;
    std::string content_type;
    std::vector<std::byte> payload;
};

/// A connection that reads the log, with its prepared statements, and with what it has learned from the server: how far
/// the log can be read, and the kinds of events. Another server may know less and give the same numbers to other kinds,
/// as after a failover that lost the last events; so all of that is forgotten with the connection. Behind a PgBouncer,
/// where any statement may meet another server, each page asks anew.
/// @par Thread safety  one thread at a time
class EventLogSession {
public:
    static constexpr std::size_t first_page_size = 64;
    static constexpr std::size_t page_size = 2048; ///< of those after it

    EventLogSession(Connection& connection, const std::string& schema)
        : connection_{&connection}, schema_{quoted_name(schema)}, is_pooled_{!connection.options().prepares_statements},
          select_readable_{connection, "SELECT " + schema_ + ".readable_until()"},
          select_last_{connection, "SELECT max(position) FROM " + schema_ + ".events"},
          select_log_id_{connection, "SELECT id FROM " + schema_ + ".log"},
          select_place_{connection, "SELECT name, version, position FROM " + schema_ + ".event_keys k JOIN " + schema_ +
                                        ".streams s ON s.id = k.stream WHERE k.id = $1"},
          select_kinds_{connection, "SELECT id, type, schema_version, content_type FROM " + schema_ +
                                        ".event_kinds WHERE id = $1::bigint OR $1 IS NULL"},
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
        return "SELECT e.position, e.version, e.recorded_at, e.id, e.kind, e.metadata, e.payload" + kind_columns() +
               " FROM " + schema_ + ".stream_events e" + kind_join() + " WHERE e.stream = (SELECT id FROM " + schema_ +
               ".streams WHERE name = " + stream + ") AND e.version >= " + version + " ORDER BY e.version LIMIT " +
               std::to_string(at_most);
    }
    std::string log_query(const std::string& position, const std::string& end, const std::string& condition,
                          std::size_t at_most) const
    {
        return "SELECT e.position, e.version, e.recorded_at, e.id, e.kind, e.metadata, e.payload, s.name" +
               kind_columns() + " FROM " + schema_ + ".events e JOIN " + schema_ + ".streams s ON s.id = e.stream" +
               kind_join() + " WHERE e.position > " + position + " AND e.position <= " + end + condition +
               " ORDER BY e.position LIMIT " + std::to_string(at_most);
    }

    /// Reads the first `first_page_size` events of a stream, from `version` on: most streams are no longer, and a
    /// prepared query takes half the time of the COPY that is better at long ones.
    PageEnd read_stream_begin(const StreamId& stream, std::uint64_t version, EventPage& page)
    {
        forget_other_connections();
        select_stream_.begin(stream.text(), version);
        return receive_first(page, 0);
    }

    /// The same for the log: what `filter` matches, after `position`, as far as the log can be read, but not beyond
    /// `limit`. All `at_most` events if a page holds them.
    PageEnd read_log_begin(std::uint64_t position, std::uint64_t limit, std::size_t at_most, const EventFilter& filter,
                           EventPage& page);

    /// A page of up to `at_most` events of a stream, from `version` on.
    PageRequest stream_page(const StreamId& stream, std::uint64_t version, std::size_t at_most) const;

    /// A page of up to `at_most` events that `filter` matches, after `position` and up to `end`, which must be
    /// readable.
    PageRequest log_page(std::uint64_t position, std::uint64_t end, std::size_t at_most,
                         const EventFilter& filter) const;

    /// The same, as far as the log can be read, but not beyond `limit`; nothing if that is not beyond `position`.
    std::optional<PageRequest> next_log_page(std::uint64_t position, std::uint64_t limit, std::size_t at_most,
                                             const EventFilter& filter);

    /// Lets the server begin to send a page. Nothing else can run on the connection before it has been received.
    void begin(const PageRequest& request);

    /// Receives the page that was begun.
    PageEnd receive(const PageRequest& request, EventPage& page);

    /// Gives up a page that was begun, and the connection with it.
    void abandon() noexcept { connection_->close(); }

    /// The position of the last event up to which nothing will turn up any more, as this connection last saw it if that
    /// is beyond `position`.
    std::uint64_t readable_beyond(std::uint64_t position)
    {
        forget_other_connections();
        if (readable_ <= position) readable_ = EventLogSession::position(select_readable_).value();
        return readable_;
    }

    /// `Connection::generation` of the connection that is used next; 0 if that may be any.
    std::uint64_t connected_as()
    {
        forget_other_connections();
        return is_pooled_ ? 0 : generation_;
    }

    LogId log_id();

    /// The position of the last event that is stored.
    GlobalPosition last() { return position(select_last_); }

    /// What holds readers back, for people to read; empty if nothing does by now.
    std::string holder();

    std::optional<EventLocation> locate(const EventId& id);
    std::optional<SnapshotCopy> read_snapshot(const StreamId& stream);
    void write_snapshot(const StreamId& stream, const Snapshot& snapshot)
    {
        write_snapshot_.run(stream.text(), snapshot.version.value(), snapshot.schema_version, snapshot.content_type,
                            snapshot.payload);
    }

private:
    static constexpr std::size_t max_page_bytes = 4 * 1024 * 1024;
    static constexpr std::size_t max_filters_remembered = 32;

    static GlobalPosition position(Statement& select)
    {
        auto rows = select.query();
        return GlobalPosition{rows.next() ? static_cast<std::uint64_t>(rows.integer(0)) : 0};
    }
    /// If the connection knows no kinds, the events bring theirs.
    std::string kind_columns() const
    {
        return is_pooled_ ? ", kinds.type, kinds.schema_version, kinds.content_type" : "";
    }
    std::string kind_join() const
    {
        return is_pooled_ ? " LEFT JOIN " + schema_ + ".event_kinds kinds ON kinds.id = e.kind" : std::string{};
    }
    void forget_other_connections();
    void name_kinds(EventPage& page);
    EventKind kind(std::int32_t id);
    static EventKind kind_in(const Rows& rows)
    {
        return {std::string{rows.text(1)}, static_cast<unsigned>(rows.integer(2)), std::string{rows.text(3)}};
    }
    PageEnd receive_first(EventPage& page, std::uint64_t log_end);
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
    bool is_pooled_; ///< statements may go to different servers
    /// Of the connection that the next two are from.
    std::uint64_t generation_ = 0;
    std::uint64_t readable_ = 0;
    std::shared_ptr<EventKinds> kinds_;
    Statement select_readable_;
    Statement select_last_;
    Statement select_log_id_;
    Statement select_place_;
    Statement select_kinds_; ///< one, or all of them
    Statement select_snapshot_;
    Statement write_snapshot_;
    Statement select_stream_;
    escqrs::detail::RecentMap<std::string, Statement> select_log_{max_filters_remembered}; ///< by condition
};

inline PageRequest EventLogSession::stream_page(const StreamId& stream, std::uint64_t version,
                                                std::size_t at_most) const
{
    return {stream_query(literal(stream.text()), std::to_string(version), at_most), is_pooled_ ? 10 : 7, at_most, 0};
}

inline PageRequest EventLogSession::log_page(std::uint64_t position, std::uint64_t end, std::size_t at_most,
                                             const EventFilter& filter) const
{
    return {log_query(std::to_string(position), std::to_string(end), condition_of(filter, schema_), at_most),
            is_pooled_ ? 11 : 8, at_most, end};
}

inline std::optional<PageRequest> EventLogSession::next_log_page(std::uint64_t position, std::uint64_t limit,
                                                                 std::size_t at_most, const EventFilter& filter)
{
    const std::uint64_t end = std::min(readable_beyond(position), limit);
    if (end <= position) return std::nullopt;
    return log_page(position, end, at_most, filter);
}

inline PageEnd EventLogSession::read_log_begin(std::uint64_t position, std::uint64_t limit, std::size_t at_most,
                                               const EventFilter& filter, EventPage& page)
{
    const std::uint64_t end = std::min(readable_beyond(position), limit);
    if (end <= position) return {};
    // A read that fits one page, and is not near the end of the log, is a single query.
    if (at_most <= page_size && std::min<std::uint64_t>(at_most, end - position) > first_page_size) {
        const PageRequest request = log_page(position, end, at_most, filter);
        begin(request);
        return receive(request, page);
    }
    const std::string condition = condition_of(filter, schema_);
    Statement* select = select_log_.find(condition);
    if (select == nullptr) {
        select =
            &select_log_.find_or_emplace(condition, *connection_, log_query("$1", "$2", condition, first_page_size));
    }
    select->begin(position, end);
    return receive_first(page, end);
}

inline void EventLogSession::forget_other_connections()
{
    connection_->ensure_connected();
    if (kinds_ && !is_pooled_ && generation_ == connection_->generation()) return;
    generation_ = connection_->generation();
    readable_ = 0;
    kinds_ = std::make_shared<EventKinds>(); // pages that are being shown keep the old ones
    if (is_pooled_) return;
    auto rows = select_kinds_.query(nullptr);
    while (rows.next()) kinds_->emplace(static_cast<std::int32_t>(rows.integer(0)), kind_in(rows));
}

/// Sets the kinds in a page, as the connection on which it came has them.
inline void EventLogSession::name_kinds(EventPage& page)
{
    if (is_pooled_) return; // it has them
    for (std::size_t index = 0; index < page.size(); ++index) {
        const std::int32_t id = page.kind(index);
        if (index > 0 && id == page.kind(index - 1)) continue;
        if (!kinds_->contains(id)) kinds_->emplace(id, kind(id));
    }
    page.set_kinds(kinds_);
}

inline void EventLogSession::begin(const PageRequest& request)
{
    forget_other_connections();
    const std::string copy = "COPY (" + request.query + ") TO STDOUT (FORMAT binary)";
    connection_->send([&](PGconn* handle) { return PQsendQuery(handle, copy.c_str()); }, request.query);
}

inline PageEnd EventLogSession::receive(const PageRequest& request, EventPage& page)
{
    page.clear();
    Result answer = connection_->next_result(request.query);
    const bool is_begun = PQresultStatus(answer.get()) == PGRES_COPY_OUT;
    const bool is_whole = !is_begun || receive_rows(request, page);
    if (is_begun) answer = connection_->next_result(request.query);
    (void)connection_->last_result(request.query);
    check_end(is_whole, std::move(answer), request.query);
    page.parse(request.columns);
    name_kinds(page);
    return {is_whole && page.size() < request.at_most, request.end};
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
inline PageEnd EventLogSession::receive_first(EventPage& page, std::uint64_t log_end)
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
    name_kinds(page);
    return {is_whole && page.size() < first_page_size, log_end};
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

inline std::string EventLogSession::holder()
{
    Statement select{
        *connection_,
        "SELECT coalesce('process ' || pid::text || ' of the server', 'a prepared transaction') "
        "FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND mode = 'ShareLock' AND granted AND "
        "classid::bigint >> 16 = ('" +
            schema_ +
            ".positions'::regclass::oid::bigint & 65535) AND database = "
            "(SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) "
            "ORDER BY (classid::bigint & 65535) << 32 | objid::bigint LIMIT 1"};
    auto rows = select.query();
    return rows.next() ? " (" + std::string{rows.text(0)} + ", by pg_locks)" : std::string{};
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
    // A page that was cut may have cost the connection. Another one may have other kinds, and begins by reading all of
    // them.
    if (connection_->is_lost())
        throw ConnectionLost{connection_->where(), "reading events", "the connection was lost", ""};
    auto rows = select_kinds_.query(id);
    if (!rows.next()) {
        throw StoreError{"postgres '" + connection_->where() + "': no event kind " + std::to_string(id) +
                         " in schema " + schema_ + ", which is damaged"};
    }
    return kind_in(rows);
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

} // namespace escqrs::inline v0::postgres::detail
