// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/id_generator.hpp>
#include <escqrs/store/event_store.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace escqrs::inline v0::testing::detail {

inline std::vector<std::byte> bytes(std::string_view text)
{
    const auto* const begin = reinterpret_cast<const std::byte*>(text.data());
    return {begin, begin + text.size()};
}

/// An event that owns what a `NewEvent` refers to.
struct SampleEvent {
    EventId id{random_uuid()};
    std::string type = "SampleHappened";
    unsigned schema_version = 1;
    std::string content_type = "application/octet-stream";
    std::vector<std::byte> payload = bytes("payload");
    std::vector<std::byte> metadata = bytes("metadata");
};

/// An event that owns what a `RecordedEvent` refers to.
struct StoredEvent {
    explicit StoredEvent(const RecordedEvent& event)
        : stream{event.stream}, version{event.version}, position{event.position}, recorded_at{event.recorded_at},
          content{event.id,
                  std::string{event.type},
                  event.schema_version,
                  std::string{event.content_type},
                  {event.payload.begin(), event.payload.end()},
                  {event.metadata.begin(), event.metadata.end()}}
    {
    }

    StreamId stream;
    StreamVersion version;
    GlobalPosition position;
    Timestamp recorded_at;
    SampleEvent content;
};

inline StreamId sample_stream(std::string_view name = "one") { return StreamId{"sample", name}; }

template <EventStore Store>
AppendResult append(Store& store, const StreamId& stream, ExpectedVersion expected,
                    const std::vector<SampleEvent>& events)
{
    std::vector<NewEvent> views;
    views.reserve(events.size());
    for (const SampleEvent& event : events) {
        views.push_back(
            {event.id, event.type, event.schema_version, event.content_type, event.payload, event.metadata});
    }
    return store.append(stream, expected, views);
}

/// Appends new events at any version of the stream.
template <EventStore Store>
std::vector<SampleEvent> append_some(Store& store, const StreamId& stream, std::size_t count)
{
    std::vector<SampleEvent> events(count);
    append(store, stream, ExpectedVersion::any(), events);
    return events;
}

template <EventStore Store>
std::vector<StoredEvent> read_stream(Store& store, const StreamId& stream, StreamVersion from = StreamVersion{1})
{
    std::vector<StoredEvent> found;
    store.read_stream(stream, from, [&](const RecordedEvent& event) {
        found.emplace_back(event);
        return true;
    });
    return found;
}

template <EventStore Store>
std::vector<StoredEvent> read_log(Store& store, GlobalPosition after = {},
                                  std::size_t at_most = std::numeric_limits<std::size_t>::max())
{
    std::vector<StoredEvent> found;
    store.read_log(after, at_most, [&](const RecordedEvent& event) {
        found.emplace_back(event);
        return true;
    });
    return found;
}

template <EventStore Store>
std::size_t count_events(Store& store)
{
    std::size_t count = 0;
    store.read_log({}, std::numeric_limits<std::size_t>::max(), [&](const RecordedEvent&) {
        ++count;
        return true;
    });
    return count;
}

template <EventStore Store>
StreamVersion version_of(Store& store, const StreamId& stream)
{
    StreamVersion version;
    store.read_stream(stream, StreamVersion{1}, [&](const RecordedEvent& event) {
        version = event.version;
        return true;
    });
    return version;
}

} // namespace escqrs::inline v0::testing::detail
