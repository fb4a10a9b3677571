// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/identifiers.hpp>
#include <escqrs/store/event_store.hpp>

#include <boost/uuid/name_generator_sha1.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace escqrs::inline v0 {

/// Summarises a log in a few bytes: two logs with the same digest hold the same events, at the same positions and
/// versions.
struct EventLogDigest {
    std::uint64_t events = 0; ///< number of events
    GlobalPosition head{};    ///< position of the last event; 0 if there is none
    /// A chain of SHA-1, one link for each event; shows damage, not forgery.
    Uuid digest{};

    friend bool operator==(const EventLogDigest&, const EventLogDigest&) = default;
};

/// Reads the whole log. The digest includes the time at which each event was recorded, to the microsecond, and may be
/// compared between machines of one byte order.
/// @throws StoreError
/// @par Complexity  linear in the bytes stored; holds one event at a time
template <EventStore Store>
EventLogDigest digest_of(Store& store)
{
    EventLogDigest result;
    std::string link;
    const auto put = [&](const void* data, std::size_t size) {
        const auto length = static_cast<std::uint64_t>(size);
        link.append(reinterpret_cast<const char*>(&length), sizeof length); // NOLINT: char aliases
        link.append(static_cast<const char*>(data), size);
    };
    const auto put_number = [&](auto number) { put(&number, sizeof number); };
    store.read_log({}, std::numeric_limits<std::size_t>::max(), [&](const RecordedEvent& event) {
        link.clear();
        put(event.stream.text().data(), event.stream.text().size());
        put_number(event.version.value());
        put_number(event.position.value());
        put_number(std::int64_t{event.recorded_at.time_since_epoch().count()});
        put(event.id.value().data, sizeof event.id.value().data);
        put(event.type.data(), event.type.size());
        put_number(event.schema_version);
        put(event.content_type.data(), event.content_type.size());
        put(event.payload.data(), event.payload.size());
        put(event.metadata.data(), event.metadata.size());
        result.digest = boost::uuids::name_generator_sha1{result.digest}(link);
        result.head = event.position;
        ++result.events;
        return true;
    });
    return result;
}

} // namespace escqrs::inline v0
