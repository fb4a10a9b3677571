// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/id_generator.hpp>
#include <escqrs/store/event_store.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// What all contestants store: events of 200 bytes with 100 bytes of metadata.
namespace benchmarks {

inline const std::string payload(200, 'p');
inline const std::string metadata(100, 'm');
inline constexpr std::string_view event_type = "SomethingHappened";
inline constexpr std::string_view content_type = "application/octet-stream";

inline escqrs::Bytes bytes(const std::string& text) { return std::as_bytes(std::span{text}); }

inline escqrs::NewEvent new_event()
{
    return {escqrs::EventId{escqrs::time_ordered_uuid()}, event_type, 1, content_type, bytes(payload), bytes(metadata)};
}

inline std::vector<escqrs::NewEvent> new_events(std::size_t count)
{
    std::vector<escqrs::NewEvent> events;
    events.reserve(count);
    while (events.size() < count) events.push_back(new_event());
    return events;
}

inline escqrs::StreamId stream_id(std::uint64_t number) { return {"stream", std::to_string(number)}; }

template <class Store>
void append_to(Store& store, std::uint64_t stream, std::size_t count = 1)
{
    if (count == 1) {
        const escqrs::NewEvent event = new_event();
        store.append(stream_id(stream), escqrs::ExpectedVersion::any(), {&event, 1});
    } else {
        store.append(stream_id(stream), escqrs::ExpectedVersion::any(), new_events(count));
    }
}

} // namespace benchmarks
