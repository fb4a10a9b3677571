// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/config.hpp>
#include <escqrs/core/clock.hpp>
#include <escqrs/core/object_pool.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/sqlite/database.hpp>
#include <escqrs/sqlite/detail/event_log_reader.hpp>
#include <escqrs/sqlite/detail/event_log_schema.hpp>
#include <escqrs/sqlite/detail/event_log_writer.hpp>
#include <escqrs/sqlite/group_commit.hpp>
#include <escqrs/store/event_store.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>

namespace escqrs::inline v0::sqlite {

/// How the store's connections commit, wait and read.
struct EventStoreOptions {
    Synchronous synchronous = Synchronous::full; ///< what a commit survives
    /// How long to wait for another process's write to end.
    Duration busy_timeout = std::chrono::seconds{10};
    /// How often a waiter looks for other processes' events.
    Duration poll_interval = std::chrono::milliseconds{10};
    /// Connections for reading, opened as needed.
    std::size_t max_readers = 8;
    Clock* clock = &system_clock(); ///< gives the events' times; must outlive the store
};

/// An event store in an SQLite file. Several processes may use one file.
///
/// Appends of many threads share transactions, each failing or succeeding alone. Reads go page by page: a page is
/// copied out of the database, and shown after the read has ended. So a sink may take its time, throw, and use the
/// store; a long read sees what is appended meanwhile, never blocks a writer, and does not keep the write-ahead log
/// from being reused.
///
/// With `Synchronous::full`, what was acknowledged survives SIGKILL and power cuts: SQLite forces the write-ahead log
/// to disk within each commit, before it returns, and so the log's folder when the log is new. A transaction cut short
/// has no commit record, whose checksum runs over everything before it; recovery stops there. Before the log is reused,
/// its content has been forced to disk in the database file.
/// @par Thread safety  every operation may be called from any thread
class EventStore {
public:
    /// Opens the store in the file `path`, which is created if it does not exist.
    /// @throws StoreError if that is impossible, or the file is something else or of another version; InvalidOption
    explicit EventStore(const std::string& path, EventStoreOptions options = {});

    EventStore(const EventStore&) = delete;
    EventStore& operator=(const EventStore&) = delete;
    ~EventStore();

    /// As `EventStore` describes it.
    /// @{
    AppendResult append(const StreamId& stream, ExpectedVersion expected, std::span<const NewEvent> events);
    void read_stream(const StreamId& stream, StreamVersion from, EventSink sink);
    GlobalPosition read_log(GlobalPosition after, std::size_t at_most, EventSink sink);
    GlobalPosition read_log(GlobalPosition after, std::size_t at_most, const EventFilter& filter, EventSink sink);
    bool read_snapshot(const StreamId& stream, SnapshotSink sink);
    void write_snapshot(const StreamId& stream, const Snapshot& snapshot);
    LogId log_id();
    GlobalPosition head();
    std::optional<EventLocation> locate(EventId id);
    /// @throws StoreError also if the file has been deleted, moved or replaced
    bool wait_for_events(GlobalPosition after, Duration at_most, stop_token stop);
    /// @}

private:
    using PageLoan = escqrs::detail::ObjectPool<detail::EventPage>::Loan;

    static EventStoreOptions checked(const EventStoreOptions& options);

    static constexpr std::size_t first_page_size = 64;
    static constexpr std::size_t max_page_size = 512;
    static constexpr std::uint64_t max_looked_at = 65'536; ///< in one filtered read

    /// A read that fits one page is a single query; a longer one may still end early.
    static std::size_t first_page_of_log(std::size_t at_most) noexcept
    {
        return at_most <= max_page_size ? max_page_size : first_page_size;
    }

    EventStoreOptions options_;
    Database database_;
    detail::EventLogWriter writer_{database_, *options_.clock};
    GroupCommit commits_{database_};
    detail::EventLogReaders readers_;
    /// Growing 150 KB anew for each page took a third of its time.
    escqrs::detail::ObjectPool<detail::EventPage> pages_;

    std::mutex wait_mutex_;
    condition_variable_any appended_;
    std::uint64_t appends_ = 0; ///< by this object
};

#if ESCQRS_HAS_BODIES

ESCQRS_INLINE EventStoreOptions EventStore::checked(const EventStoreOptions& options)
{
    using escqrs::detail::check_at_least, escqrs::detail::check_given, escqrs::detail::not_zero;
    check_at_least(not_zero, options.poll_interval, "poll_interval");
    check_at_least(1, options.max_readers, "max_readers");
    check_given(options.clock, "clock");
    return options;
}

ESCQRS_INLINE EventStore::EventStore(const std::string& path, EventStoreOptions options)
    : options_{checked(options)},
      database_{detail::file_path(path), detail::event_log_schema, {options.synchronous, options.busy_timeout}},
      readers_{database_, options.max_readers}
{
}

ESCQRS_INLINE EventStore::~EventStore() = default;

ESCQRS_INLINE AppendResult EventStore::append(const StreamId& stream, ExpectedVersion expected,
                                              std::span<const NewEvent> events)
{
    if (events.empty()) {
        throw StoreError{"append to stream '" + stream.text() + "': expected at least one event, found none"};
    }
    const AppendResult result = commits_.commit([&](Database&) { return writer_.append(stream, expected, events); });
    {
        const std::scoped_lock lock{wait_mutex_};
        ++appends_;
    }
    appended_.notify_all();
    return result;
}

ESCQRS_INLINE void EventStore::read_stream(const StreamId& stream, StreamVersion from, EventSink sink)
{
    const PageLoan loan{pages_};
    detail::EventPage& page = *loan;
    std::uint64_t version = from.value();
    for (std::size_t page_size = first_page_size; version <= detail::max_number; page_size = max_page_size) {
        readers_.with_one([&](auto& reader) { reader.read_stream(stream, version, page_size, page); });
        for (std::size_t index = 0; index < page.size(); ++index) {
            if (!sink(page.event(index, stream))) return;
        }
        if (page.is_last()) return;
        version = page.version(page.size() - 1) + 1;
    }
}

ESCQRS_INLINE GlobalPosition EventStore::read_log(GlobalPosition after, std::size_t at_most, EventSink sink)
{
    const PageLoan loan{pages_};
    detail::EventPage& page = *loan;
    std::optional<StreamId> stream;
    std::uint64_t position = after.value();
    for (std::size_t page_size = first_page_of_log(at_most); at_most > 0 && position <= detail::max_number;
         page_size = max_page_size) {
        readers_.with_one([&](auto& reader) { reader.read_log(position, std::min(page_size, at_most), page); });
        for (std::size_t index = 0; index < page.size(); ++index) {
            const std::string_view name = page.stream_name(index);
            if (!stream || stream->text() != name) stream = StreamId::parse(name);
            position = page.position(index);
            if (!sink(page.event(index, *stream))) return GlobalPosition{position};
        }
        if (page.is_last()) break;
        at_most -= page.size();
    }
    return GlobalPosition{position};
}

ESCQRS_INLINE GlobalPosition EventStore::read_log(GlobalPosition after, std::size_t at_most, const EventFilter& filter,
                                                  EventSink sink)
{
    if (filter.matches_everything()) return read_log(after, at_most, sink);
    const PageLoan loan{pages_};
    detail::EventPage& page = *loan;
    std::optional<StreamId> stream;
    std::uint64_t position = after.value();
    // Events after this head may be committed while pages are read, but none at or below it any more.
    const std::uint64_t head_now = head().value();
    const std::uint64_t end =
        head_now - std::min(head_now, position) > max_looked_at ? position + max_looked_at : head_now;
    for (std::size_t page_size = first_page_of_log(at_most); at_most > 0 && position < end; page_size = max_page_size) {
        readers_.with_one(
            [&](auto& reader) { reader.read_log(position, end, std::min(page_size, at_most), filter, page); });
        for (std::size_t index = 0; index < page.size(); ++index) {
            const std::string_view name = page.stream_name(index);
            if (!stream || stream->text() != name) stream = StreamId::parse(name);
            position = page.position(index);
            if (!sink(page.event(index, *stream))) return GlobalPosition{position};
        }
        if (page.is_last()) return GlobalPosition{end};
        at_most -= page.size();
    }
    return GlobalPosition{position};
}

ESCQRS_INLINE bool EventStore::read_snapshot(const StreamId& stream, SnapshotSink sink)
{
    const auto stored = readers_.with_one([&](auto& reader) { return reader.read_snapshot(stream); });
    if (!stored) return false;
    sink({stored->version, stored->schema_version, stored->content_type, stored->payload});
    return true;
}

/// Without waiting for the disk: nothing but time is lost with a snapshot.
ESCQRS_INLINE void EventStore::write_snapshot(const StreamId& stream, const Snapshot& snapshot)
{
    commits_.commit_without_sync([&](Database&) { writer_.write_snapshot(stream, snapshot); });
}

ESCQRS_INLINE LogId EventStore::log_id()
{
    return readers_.with_one([](auto& reader) { return reader.log_id(); });
}

ESCQRS_INLINE GlobalPosition EventStore::head()
{
    return readers_.with_one([](auto& reader) { return reader.head(); });
}

ESCQRS_INLINE std::optional<EventLocation> EventStore::locate(EventId id)
{
    return readers_.with_one([&](auto& reader) { return reader.locate(id); });
}

ESCQRS_INLINE bool EventStore::wait_for_events(GlobalPosition after, Duration at_most, stop_token stop)
{
    Clock& clock = *options_.clock;
    const SteadyTime end = later_by(clock.steady(), at_most);
    std::unique_lock lock{wait_mutex_};
    while (true) {
        const std::uint64_t seen = appends_; // read before the look, so that an append after it wakes the wait
        lock.unlock();
        if (head() > after) return true;
        database_.check_file(); // what others append to another file would never be seen
        const Duration left = time_until(end, clock.steady());
        if (left == Duration::zero() || stop.stop_requested()) return false;
        lock.lock();
        clock.wait_for(lock, appended_, std::min(left, options_.poll_interval), stop, [&] { return appends_ != seen; });
    }
}

#endif // ESCQRS_HAS_BODIES

static_assert(escqrs::EventStore<EventStore>);

} // namespace escqrs::inline v0::sqlite
