// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/config.hpp>
#include <escqrs/core/check_option.hpp>
#include <escqrs/core/id_generator.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/in_memory/detail/stable_vector.hpp>
#include <escqrs/store/event_store.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <memory_resource>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace escqrs::inline v0::in_memory {

/// What the store is constructed with; the defaults suit most tests.
struct EventStoreOptions {
    Clock* clock = &system_clock(); ///< gives the events' times; must outlive the store
    /// Nil draws a new one. With the id of another log the store plays a copy of it, to test what follows a restore.
    LogId log_id{};
};

/// An event store that lives as long as the program: for tests, and for state that may be lost.
///
/// Keeps every promise of the `EventStore` concept except durability. Readers of the log take no lock, and no lock is
/// held while a sink runs.
/// @par Thread safety  every operation may be called from any thread
class EventStore {
public:
    /// @throws InvalidOption
    explicit EventStore(EventStoreOptions options = {})
        : clock_{options.clock}, log_id_{options.log_id.is_nil() ? LogId{random_uuid()} : options.log_id}
    {
        detail::check_given(clock_, "clock");
    }
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
    LogId log_id() const noexcept { return log_id_; }
    GlobalPosition head() { return GlobalPosition{log_.size()}; }
    std::optional<EventLocation> locate(EventId id);
    bool wait_for_events(GlobalPosition after, Duration at_most, stop_token stop);
    /// @}

private:
    static constexpr std::size_t max_looked_at = 65'536; ///< in one filtered read

    using Streams = std::unordered_map<StreamId, std::vector<std::uint64_t>>; ///< positions, by version - 1

    struct StoredSnapshot {
        StreamVersion version;
        unsigned schema_version = 0;
        std::string content_type;
        std::vector<std::byte> payload;
    };

    struct Stored {
        const StreamId* stream = nullptr; ///< in `streams_`, where it stays
        const std::string* type = nullptr;
        const std::string* content_type = nullptr;
        const std::byte* bytes = nullptr; ///< payload, then metadata
        std::size_t payload_size = 0;
        std::size_t metadata_size = 0;
        StreamVersion version;
        EventId id;
        Timestamp recorded_at{};
        unsigned schema_version = 0;
        std::uint32_t index_in_append = 0;
    };

    std::optional<AppendResult> find_repeat(const StreamId& stream, std::span<const NewEvent> events) const;
    Stored store(const NewEvent& event, const StreamId& stream, StreamVersion version, Timestamp now);
    const std::string* intern(std::string_view text);
    RecordedEvent show(std::uint64_t position) const;

    Clock* clock_;
    LogId log_id_;
    detail::StableVector<Stored> log_; ///< by position - 1
    /// For what is never freed, the events' bytes and the index of their ids (which leaves its outgrown buckets there,
    /// as many again as it has); that saves an eighth of a command.
    std::pmr::monotonic_buffer_resource memory_;

    /// Held shared to look a stream or id up, exclusively to append.
    mutable std::shared_mutex index_mutex_;
    Streams streams_;
    std::pmr::unordered_map<EventId, std::uint64_t> position_of_id_{&memory_};
    std::set<std::string, std::less<>> texts_; ///< event names and content types: few

    std::mutex snapshot_mutex_;
    std::unordered_map<StreamId, std::shared_ptr<const StoredSnapshot>> snapshots_;

    std::mutex wait_mutex_;
    condition_variable_any appended_;
};

#if ESCQRS_HAS_BODIES

ESCQRS_INLINE AppendResult EventStore::append(const StreamId& stream_id, ExpectedVersion expected,
                                              std::span<const NewEvent> events)
{
    if (events.empty())
        throw StoreError{"append to stream '" + stream_id.text() + "': expected at least one event, found none"};
    AppendResult result;
    {
        const std::unique_lock lock{index_mutex_};
        if (const auto repeat = find_repeat(stream_id, events)) return *repeat;

        const auto known = streams_.find(stream_id);
        const StreamVersion actual{known == streams_.end() ? 0 : known->second.size()};
        if (!expected.is_met_by(actual)) throw ConcurrencyError{stream_id, expected, actual};

        // What can fail comes first. A stream without events counts as none.
        auto& [stream, positions] = known != streams_.end() ? *known : *streams_.try_emplace(stream_id).first;
        const std::size_t first = log_.size();
        const Timestamp now = clock_->now();
        if (positions.capacity() < positions.size() + events.size()) {
            positions.reserve(std::max(positions.size() + events.size(), 2 * positions.size()));
        }
        std::size_t staged = 0;
        try {
            for (; staged < events.size(); ++staged) {
                Stored stored = store(events[staged], stream, StreamVersion{actual.value() + staged + 1}, now);
                stored.index_in_append = static_cast<std::uint32_t>(staged);
                log_.stage(first + staged, stored);
                position_of_id_.emplace(events[staged].id, first + staged + 1);
            }
        } catch (...) {
            for (std::size_t index = 0; index < staged; ++index) position_of_id_.erase(events[index].id);
            throw;
        }
        // Nothing throws from here on.
        for (std::size_t index = 0; index < events.size(); ++index) positions.push_back(first + index + 1);
        log_.publish(first + events.size());
        result = {StreamVersion{actual.value() + events.size()}, GlobalPosition{first + events.size()}};
    }
    {
        const std::scoped_lock lock{wait_mutex_}; // a waiter between its check and its sleep must not miss this
    }
    appended_.notify_all();
    return result;
}

ESCQRS_INLINE std::optional<AppendResult> EventStore::find_repeat(const StreamId& stream,
                                                                  std::span<const NewEvent> events) const
{
    // Without a stored id, the only thing left to exclude is an id given twice.
    std::size_t known = 0;
    for (const NewEvent& event : events) known += position_of_id_.count(event.id);
    if (known == 0) {
        std::vector<EventId> ids;
        if (events.size() > 1) {
            ids.reserve(events.size());
            for (const NewEvent& event : events) ids.push_back(event.id);
            std::ranges::sort(ids);
            const auto twice = std::ranges::adjacent_find(ids);
            if (twice != ids.end()) throw DuplicateEventId{stream, *twice};
        }
        return std::nullopt;
    }
    const auto is_stored = [&](const NewEvent& event) { return position_of_id_.contains(event.id); };
    if (known < events.size()) throw DuplicateEventId{stream, std::ranges::find_if(events, is_stored)->id};
    std::uint64_t last = 0;
    for (std::size_t index = 0; index < events.size(); ++index) {
        const std::uint64_t position = position_of_id_.at(events[index].id);
        const Stored& stored = log_[position - 1];
        const bool in_place =
            *stored.stream == stream && stored.index_in_append == index && (index == 0 || position == last + 1);
        if (!in_place) throw DuplicateEventId{stream, events[index].id};
        last = position;
    }
    const bool goes_on = last < log_.size() && log_[last].index_in_append != 0;
    if (goes_on) throw DuplicateEventId{stream, events.front().id};
    return AppendResult{log_[last - 1].version, GlobalPosition{last}, true};
}

ESCQRS_INLINE EventStore::Stored EventStore::store(const NewEvent& event, const StreamId& stream, StreamVersion version,
                                                   Timestamp now)
{
    Stored stored;
    stored.stream = &stream;
    stored.type = intern(event.type);
    stored.content_type = intern(event.content_type);
    stored.payload_size = event.payload.size();
    stored.metadata_size = event.metadata.size();
    auto* const bytes = static_cast<std::byte*>(memory_.allocate(stored.payload_size + stored.metadata_size, 1));
    std::ranges::copy(event.metadata, std::ranges::copy(event.payload, bytes).out);
    stored.bytes = bytes;
    stored.version = version;
    stored.id = event.id;
    stored.recorded_at = now;
    stored.schema_version = event.schema_version;
    return stored;
}

ESCQRS_INLINE const std::string* EventStore::intern(std::string_view text)
{
    const auto known = texts_.find(text);
    return known != texts_.end() ? &*known : &*texts_.emplace(text).first;
}

ESCQRS_INLINE RecordedEvent EventStore::show(std::uint64_t position) const
{
    const Stored& stored = log_[position - 1];
    const Bytes bytes{stored.bytes, stored.payload_size + stored.metadata_size};
    return {*stored.stream,
            stored.version,
            GlobalPosition{position},
            stored.recorded_at,
            stored.id,
            *stored.type,
            stored.schema_version,
            *stored.content_type,
            bytes.first(stored.payload_size),
            bytes.subspan(stored.payload_size)};
}

ESCQRS_INLINE void EventStore::read_stream(const StreamId& stream_id, StreamVersion from, EventSink sink)
{
    std::array<std::uint64_t, 64> page; // NOLINT(cppcoreguidelines-pro-type-member-init): filled before it is read
    std::uint64_t next = from.value() == 0 ? 0 : from.value() - 1;
    while (true) {
        std::size_t count = 0;
        {
            const std::shared_lock lock{index_mutex_};
            const auto known = streams_.find(stream_id);
            if (known == streams_.end()) return;
            const auto& positions = known->second;
            if (next < positions.size()) {
                const auto first = positions.begin() + static_cast<std::ptrdiff_t>(next);
                count = std::min(page.size(), static_cast<std::size_t>(positions.end() - first));
                std::copy_n(first, count, page.begin());
            }
        }
        for (std::size_t index = 0; index < count; ++index) {
            if (!sink(show(page[index]))) return;
        }
        if (count < page.size()) return;
        next += count;
    }
}

ESCQRS_INLINE GlobalPosition EventStore::read_log(GlobalPosition after, std::size_t at_most, EventSink sink)
{
    const std::uint64_t head = log_.size();
    std::uint64_t position = after.value();
    while (position < head && at_most-- > 0) {
        ++position;
        if (!sink(show(position))) break;
    }
    return GlobalPosition{position};
}

ESCQRS_INLINE GlobalPosition EventStore::read_log(GlobalPosition after, std::size_t at_most, const EventFilter& filter,
                                                  EventSink sink)
{
    const std::uint64_t head = log_.size();
    std::uint64_t position = after.value();
    for (std::size_t looked_at = 0; position < head && at_most > 0 && looked_at < max_looked_at; ++looked_at) {
        const Stored& stored = log_[position++];
        if (!filter.matches(stored.stream->category(), *stored.type)) continue;
        --at_most;
        if (!sink(show(position))) break;
    }
    return GlobalPosition{position};
}

ESCQRS_INLINE bool EventStore::read_snapshot(const StreamId& stream, SnapshotSink sink)
{
    std::shared_ptr<const StoredSnapshot> stored;
    {
        const std::scoped_lock lock{snapshot_mutex_};
        const auto found = snapshots_.find(stream);
        if (found == snapshots_.end()) return false;
        stored = found->second;
    }
    sink({stored->version, stored->schema_version, stored->content_type, stored->payload});
    return true;
}

ESCQRS_INLINE void EventStore::write_snapshot(const StreamId& stream, const Snapshot& snapshot)
{
    auto stored =
        std::make_shared<const StoredSnapshot>(StoredSnapshot{snapshot.version,
                                                              snapshot.schema_version,
                                                              std::string{snapshot.content_type},
                                                              {snapshot.payload.begin(), snapshot.payload.end()}});
    {
        const std::shared_lock lock{index_mutex_};
        const auto known = streams_.find(stream);
        if (known == streams_.end() || known->second.empty()) return; // it may belong to a log that was lost
    }
    const std::scoped_lock lock{snapshot_mutex_};
    snapshots_.insert_or_assign(stream, std::move(stored));
}

ESCQRS_INLINE std::optional<EventLocation> EventStore::locate(EventId id)
{
    const std::shared_lock lock{index_mutex_};
    const auto found = position_of_id_.find(id);
    if (found == position_of_id_.end()) return std::nullopt;
    const Stored& stored = log_[found->second - 1];
    return EventLocation{*stored.stream, stored.version, GlobalPosition{found->second}};
}

ESCQRS_INLINE bool EventStore::wait_for_events(GlobalPosition after, Duration at_most, stop_token stop)
{
    std::unique_lock lock{wait_mutex_};
    return clock_->wait_for(lock, appended_, at_most, std::move(stop), [&] { return head() > after; });
}

#endif // ESCQRS_HAS_BODIES

static_assert(escqrs::EventStore<EventStore>);

} // namespace escqrs::inline v0::in_memory
