// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/check_option.hpp>
#include <escqrs/core/clock.hpp>
#include <escqrs/core/object_pool.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/postgres/connection_pool.hpp>
#include <escqrs/postgres/detail/doorbell.hpp>
#include <escqrs/postgres/detail/event_log_opening.hpp>
#include <escqrs/postgres/detail/event_log_session.hpp>
#include <escqrs/postgres/detail/event_log_writer.hpp>
#include <escqrs/postgres/detail/event_page.hpp>
#include <escqrs/postgres/detail/page_reader.hpp>
#include <escqrs/postgres/detail/persistence.hpp>
#include <escqrs/postgres/detail/session_settings.hpp>
#include <escqrs/store/event_store.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>

namespace escqrs::inline v0::postgres {

/// Where the store keeps its tables, and what it may use and wait for.
struct EventStoreOptions {
    std::string schema = "escqrs"; ///< of its tables, created if missing
    /// Connections for reading, opened as needed, in addition to those that append.
    std::size_t max_readers = 8;
    /// Connections for appending, opened as needed.
    std::size_t max_writers = 1;
    std::size_t max_group_size = 256; ///< appends that go out together
    /// Whether waiters in other processes are notified of appends, by one more connection.
    bool notifies = true;
    /// Refuse a server that answers before a commit is on its disk.
    bool requires_durable_commits = true;
    /// Positions in each partition of a log that is made now; 0: not partitioned.
    std::uint64_t partition_size = 0;
    /// How often a waiter looks, notified or not.
    Duration poll_interval = std::chrono::milliseconds{20};
    /// How long after its first failure a call tries to get a lost connection back. A call that a silent server does
    /// not answer throws after `connection.answer_timeout`, this time and two seconds at the latest, however many
    /// threads call at once.
    Duration reconnect_timeout = std::chrono::seconds{10};
    /// How long `head` waits for appends that are under way.
    Duration head_timeout = std::chrono::seconds{10};
    ConnectionOptions connection{}; ///< of each of its connections
    Clock* clock = &system_clock(); ///< gives the events' times; must outlive the store
};

/// An event store in a PostgreSQL database, for any number of processes on any number of machines.
///
/// An append is one round trip, or two if another process has just appended to the same stream. Appends of this process
/// that wait for each other go out together, in one transaction, each failing or succeeding alone. One whose answer was
/// lost with the connection is sent again, and stored once. No two appends to different streams wait for each other,
/// and a reader waits for no one: docs/postgres.md explains why it never misses an event nevertheless. Reads go to the
/// primary server.
///
/// Reads go page by page: a page is copied out of the database, and then shown, while the server sends the next one. So
/// a sink may take its time, throw, and use the store; what it may hold up on the server is one page.
/// @par Thread safety  every operation may be called from any thread
class EventStore {
public:
    /// Opens the store, and creates its tables or upgrades them if need be.
    /// @param address  libpq's connection string, of a server (not a standby)
    /// @throws StoreError if that is impossible, or the tables are of a newer version; InvalidOption
    explicit EventStore(const std::string& address, EventStoreOptions options = {});

    EventStore(const EventStore&) = delete;
    EventStore& operator=(const EventStore&) = delete;

    /// As `EventStore` describes it.
    /// @{
    AppendResult append(const StreamId& stream, ExpectedVersion expected, std::span<const NewEvent> events);
    void read_stream(const StreamId& stream, StreamVersion from, EventSink sink);
    GlobalPosition read_log(GlobalPosition after, std::size_t at_most, EventSink sink);
    GlobalPosition read_log(GlobalPosition after, std::size_t at_most, const EventFilter& filter, EventSink sink);
    bool read_snapshot(const StreamId& stream, SnapshotSink sink);
    void write_snapshot(const StreamId& stream, const Snapshot& snapshot);

    /// The position of the last event. Of appends that are under way some may be stored before others that drew earlier
    /// positions; then this waits for the earlier ones, so that none turns up later. Reading the log does not wait.
    /// @throws StoreError if it would have to wait for longer than `head_timeout`
    GlobalPosition head();
    LogId log_id()
    {
        return read([](auto& session) { return session.log_id(); });
    }
    std::optional<EventLocation> locate(EventId id);
    bool wait_for_events(GlobalPosition after, Duration at_most, stop_token stop);
    /// @}

private:
    using PageLoan = escqrs::detail::ObjectPool<detail::EventPage>::Loan;

    static constexpr std::size_t page_size = detail::EventLogSession::page_size;
    static constexpr std::uint64_t max_looked_at = 65'536; ///< in one filtered read
    static constexpr std::uint64_t max_number = 0x7FFF'FFFF'FFFF'FFFF;

    static constexpr std::uint64_t smallest_partition = 10'000;

    static EventStoreOptions prepared(const std::string& address, EventStoreOptions options);

    template <class Use>
    auto read(Use use, const stop_token& stop = {}) -> decltype(use(std::declval<detail::EventLogSession&>()));
    template <class MakeRequest>
    detail::PageEnd read_page(detail::PageReader& reader, MakeRequest make_request, detail::EventPage& page);
    std::uint64_t readable_beyond(std::uint64_t position, const stop_token& stop = {});
    void wake_waiters();

    EventStoreOptions options_;
    detail::Persistence persistence_{*options_.clock, options_.reconnect_timeout, options_.connection};
    detail::EventLogWriter writer_;
    ConnectionPool<detail::EventLogSession> readers_;
    escqrs::detail::ObjectPool<detail::EventPage> pages_;

    std::mutex wait_mutex_;
    condition_variable_any appended_;
    std::uint64_t appends_ = 0;                ///< known of
    std::optional<detail::Doorbell> doorbell_; ///< constructed last, destroyed first
};

/// Grants `role` what an application needs to use the event store of `schema`, and no more: it can append and read, but
/// neither change what is stored nor choose its position.
/// @param owner  a connection of the role that owns the schema
inline void grant_event_store(Connection& owner, std::string_view schema, std::string_view role)
{
    const std::string to = " TO " + quoted_name(role);
    owner.execute(with_schema(
        "GRANT USAGE ON SCHEMA {s}" + to +
            "; GRANT SELECT ON {s}.schema_versions, {s}.streams, {s}.event_kinds, {s}.events, {s}.event_keys, "
            "{s}.stream_events, {s}.snapshots" +
            to +
            "; GRANT INSERT (stream, version, recorded_at, index_in_append, kind, id, metadata, payload) ON "
            "{s}.events" +
            to + "; GRANT USAGE ON SEQUENCE {s}.positions" + to +
            "; GRANT EXECUTE ON FUNCTION {s}.append, {s}.append_one, {s}.append_behind, {s}.append_all_behind, "
            "{s}.make_partitions, "
            "{s}.readable_until, {s}.kind, {s}.write_snapshot" +
            to,
        schema));
}

inline EventStoreOptions EventStore::prepared(const std::string& address, EventStoreOptions options)
{
    using escqrs::detail::check_at_least, escqrs::detail::check_given;
    using escqrs::detail::not_negative, escqrs::detail::not_zero;
    check_at_least(1, options.max_readers, "max_readers");
    check_at_least(1, options.max_writers, "max_writers");
    check_at_least(1, options.max_group_size, "max_group_size");
    check_at_least(not_zero, options.poll_interval, "poll_interval");
    check_at_least(not_negative, options.reconnect_timeout, "reconnect_timeout");
    check_at_least(not_negative, options.head_timeout, "head_timeout");
    check_given(options.clock, "clock");
    Connection connection{address, options.connection};
    detail::pin_settings(connection);
    Statement show{connection,
                   "SELECT current_setting('synchronous_commit'), current_setting('fsync'), pg_is_in_recovery()"};
    auto rows = show.query();
    rows.next();
    if (rows.integer(2) != 0) {
        throw StoreError{"postgres '" + connection.where() +
                         "': expected the primary server, found a standby; with several "
                         "hosts, target_session_attrs=read-write finds it"};
    }
    if (options.requires_durable_commits && (rows.text(0) == "off" || rows.text(1) == "off")) {
        throw StoreError{"postgres '" + connection.where() +
                         "': expected synchronous_commit and fsync to be on, found synchronous_commit " +
                         std::string{rows.text(0)} + ", fsync " + std::string{rows.text(1)} +
                         ": events could be lost that were reported as stored"};
    }
    if (options.partition_size != 0 && options.partition_size < smallest_partition) {
        throw StoreError{"postgres '" + connection.where() + "': expected partitions of at least " +
                         std::to_string(smallest_partition) + " positions, found a size of " +
                         std::to_string(options.partition_size)};
    }
    detail::open_event_log(connection, options.schema, options.partition_size);
    return options;
}

inline EventStore::EventStore(const std::string& address, EventStoreOptions options)
    : options_{prepared(address, std::move(options))},
      writer_{address,
              options_.schema,
              {options_.connection, options_.max_writers, options_.max_group_size, persistence_, options_.clock}},
      readers_{address, options_.connection, options_.max_readers, [schema = options_.schema](Connection& connection) {
                   detail::pin_settings(connection);
                   return detail::EventLogSession{connection, schema};
               }}
{
    if (options_.notifies) {
        doorbell_.emplace(address, options_.connection, options_.schema + ".events", [this] { wake_waiters(); });
    }
}

inline AppendResult EventStore::append(const StreamId& stream, ExpectedVersion expected,
                                       std::span<const NewEvent> events)
{
    if (events.empty()) {
        throw StoreError{"append to stream '" + stream.text() + "': expected at least one event, found none"};
    }
    const AppendResult result = writer_.append(stream, expected, events);
    wake_waiters();
    if (doorbell_) doorbell_->ring();
    return result;
}

inline void EventStore::wake_waiters()
{
    {
        const std::scoped_lock lock{wait_mutex_};
        ++appends_;
    }
    appended_.notify_all();
}

template <class Use>
auto EventStore::read(Use use, const stop_token& stop) -> decltype(use(std::declval<detail::EventLogSession&>()))
{
    const detail::CallLimit limit = persistence_.limit(stop);
    return persistence_.run(limit, [&] { return readers_.with_one(use, limit); });
}

template <class MakeRequest>
detail::PageEnd EventStore::read_page(detail::PageReader& reader, MakeRequest make_request, detail::EventPage& page)
{
    const detail::CallLimit limit = persistence_.limit();
    return persistence_.run(limit, [&] { return reader.read(make_request, page, limit); });
}

inline void EventStore::read_stream(const StreamId& stream, StreamVersion from, EventSink sink)
{
    detail::PageReader reader{readers_};
    const PageLoan loan{pages_};
    detail::EventPage& page = *loan;
    std::uint64_t version = from.value();
    if (version > max_number) return;
    detail::LastRead last;
    const auto next_page = [&](auto& session) {
        last.check(session);
        return session.stream_page(stream, version, page_size);
    };
    detail::PageEnd end = read([&](auto& session) {
        last.check(session);
        return session.read_stream_begin(stream, version, page);
    });
    while (true) {
        if (!end.is_last) {
            version = page.version(page.size() - 1) + 1;
            last.set(page, page.size() - 1);
        }
        for (std::size_t index = 0; index < page.size(); ++index) {
            if (!sink(page.event(index, stream))) return;
            if (index == 0 && !end.is_last)
                reader.begin(next_page, persistence_.limit()); // many readers want one event only
        }
        if (end.is_last) return;
        end = read_page(reader, next_page, page);
    }
}

inline GlobalPosition EventStore::read_log(GlobalPosition after, std::size_t at_most, EventSink sink)
{
    return read_log(after, at_most, EventFilter{}, sink);
}

inline GlobalPosition EventStore::read_log(GlobalPosition after, std::size_t at_most, const EventFilter& filter,
                                           EventSink sink)
{
    detail::PageReader reader{readers_};
    const PageLoan loan{pages_};
    detail::EventPage& page = *loan;
    std::optional<StreamId> stream;
    std::uint64_t position = after.value();
    const std::uint64_t limit =
        filter.matches_everything() ? max_number : std::min(max_number, position) + max_looked_at;
    if (at_most == 0 || position >= limit) return after;
    detail::LastRead last{position};
    const auto next_page = [&](auto& session) {
        const std::size_t count = std::min(page_size, at_most);
        auto request = session.next_log_page(position, limit, count, filter);
        // Another server may have events where the last one had none.
        if (request && last.check(session)) request = session.log_page(last.position(), request->end, count, filter);
        return request;
    };
    detail::PageEnd end = read([&](auto& session) {
        last.check(session);
        return session.read_log_begin(position, limit, at_most, filter, page);
    });
    while (end.end > position) {
        const std::size_t shown = std::min(page.size(), at_most);
        at_most -= shown;
        if (shown > 0) last.set(page, shown - 1);
        // A short page skips what is between its last event and the end of its own request, and no more.
        position = end.is_last && at_most > 0 ? end.end : last.position();
        const bool reads_on = at_most > 0 && position < limit;
        if (reads_on && !end.is_last) reader.begin(next_page, persistence_.limit());
        for (std::size_t index = 0; index < shown; ++index) {
            const std::string_view name = page.stream_name(index);
            if (!stream || stream->text() != name) stream = StreamId::parse(name);
            const RecordedEvent event = page.event(index, *stream);
            if (!sink(event)) return event.position;
        }
        if (!reads_on) break;
        end = read_page(reader, next_page, page);
    }
    return GlobalPosition{position};
}

/// How far the log can be read, as a connection last saw it if that is beyond `position`.
inline std::uint64_t EventStore::readable_beyond(std::uint64_t position, const stop_token& stop)
{
    return read([&](auto& session) { return session.readable_beyond(position); }, stop);
}

inline bool EventStore::read_snapshot(const StreamId& stream, SnapshotSink sink)
{
    const auto stored = read([&](auto& session) { return session.read_snapshot(stream); });
    if (!stored) return false;
    sink({stored->version, stored->schema_version, stored->content_type, stored->payload});
    return true;
}

inline void EventStore::write_snapshot(const StreamId& stream, const Snapshot& snapshot)
{
    read([&](auto& session) { session.write_snapshot(stream, snapshot); });
}

inline GlobalPosition EventStore::head()
{
    const GlobalPosition last = read([](auto& session) { return session.last(); });
    Clock& clock = *options_.clock;
    const SteadyTime end = later_by(clock.steady(), options_.head_timeout);
    while (last > GlobalPosition{}) {
        const std::uint64_t readable = readable_beyond(last.value() - 1);
        if (readable >= last.value()) break;
        if (clock.steady() > end) {
            throw StoreError{"postgres, schema " + options_.schema + ": the last event is at position " +
                             std::to_string(last.value()) +
                             ", but an append that has not ended holds the log back at " + std::to_string(readable) +
                             read([](auto& session) { return session.holder(); })};
        }
        sleep_for(clock, std::chrono::milliseconds{1}, {});
    }
    return last;
}

inline std::optional<EventLocation> EventStore::locate(EventId id)
{
    return read([&](auto& session) { return session.locate(id); });
}

inline bool EventStore::wait_for_events(GlobalPosition after, Duration at_most, stop_token stop)
{
    Clock& clock = *options_.clock;
    const SteadyTime end = later_by(clock.steady(), at_most);
    std::unique_lock lock{wait_mutex_};
    while (true) {
        const std::uint64_t seen = appends_; // read before the look, so that an append after it wakes the wait
        lock.unlock();
        try {
            if (readable_beyond(after.value(), stop) > after.value()) return true;
        } catch (const ConnectionLost&) {
            if (stop.stop_requested()) return false;
            throw;
        }
        const Duration left = time_until(end, clock.steady());
        if (left == Duration::zero() || stop.stop_requested()) return false;
        lock.lock();
        clock.wait_for(lock, appended_, std::min(left, options_.poll_interval), stop, [&] { return appends_ != seen; });
    }
}

static_assert(escqrs::EventStore<EventStore>);

} // namespace escqrs::inline v0::postgres
