// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/store/event_store.hpp>

#include <cstddef>
#include <string>
#include <vector>

namespace escqrs::inline v0::detail {

/// A stored event that outlives the call that showed it.
class OwnedEvent {
public:
    explicit OwnedEvent(const RecordedEvent& event)
        : stream_{event.stream}, version_{event.version}, position_{event.position}, recorded_at_{event.recorded_at},
          id_{event.id}, type_{event.type}, schema_version_{event.schema_version}, content_type_{event.content_type},
          payload_{event.payload.begin(), event.payload.end()}, metadata_{event.metadata.begin(), event.metadata.end()}
    {
    }

    RecordedEvent view() const noexcept
    {
        return {stream_, version_,        position_,     recorded_at_, id_,
                type_,   schema_version_, content_type_, payload_,     metadata_};
    }

    GlobalPosition position() const noexcept { return position_; }

private:
    StreamId stream_;
    StreamVersion version_;
    GlobalPosition position_;
    Timestamp recorded_at_;
    EventId id_;
    std::string type_;
    unsigned schema_version_;
    std::string content_type_;
    std::vector<std::byte> payload_;
    std::vector<std::byte> metadata_;
};

} // namespace escqrs::inline v0::detail
