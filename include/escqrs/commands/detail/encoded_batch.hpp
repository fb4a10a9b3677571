// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/codec/codec.hpp>
#include <escqrs/core/error.hpp>
#include <escqrs/core/metadata.hpp>
#include <escqrs/domain/access.hpp>
#include <escqrs/domain/event.hpp>
#include <escqrs/store/event_store.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace escqrs::inline v0::detail {

[[noreturn, gnu::cold, gnu::noinline]] inline void refuse_event_size(const NewEvent& event, std::size_t most)
{
    throw CodecError{"event '" + std::string{event.type} + "' has " +
                     std::to_string(event.payload.size() + event.metadata.size()) +
                     " bytes with its metadata, at most " + std::to_string(most) + " (max_event_size)"};
}

/// An aggregate's uncommitted events in one buffer, and the views the store takes.
class EncodedBatch {
public:
    /// @return valid until the next call
    /// @throws CodecError
    template <class Aggregate, class EventCodec>
    std::span<const NewEvent> encode(Aggregate& aggregate, const Metadata& metadata, const EventCodec& codec,
                                     std::size_t max_event_size)
    {
        bytes_.clear();
        events_.clear();
        ends_.clear();
        encode_metadata(metadata, bytes_);
        const std::size_t metadata_size = bytes_.size();
        const auto& ids = Access::uncommitted_ids(aggregate);
        for (const auto& event : aggregate.uncommitted_events()) {
            std::visit([&](const auto& typed) { add(typed, ids[events_.size()], codec); }, event);
        }
        // The buffer does not move from here on, so views of it stay valid.
        const Bytes all{bytes_};
        std::size_t begin = metadata_size;
        for (std::size_t index = 0; index < events_.size(); ++index) {
            events_[index].payload = all.subspan(begin, ends_[index] - begin);
            events_[index].metadata = all.first(metadata_size);
            if (metadata_size + events_[index].payload.size() > max_event_size)
                refuse_event_size(events_[index], max_event_size);
            begin = ends_[index];
        }
        return events_;
    }

    std::size_t memory() const noexcept { return bytes_.capacity() + events_.capacity() * sizeof(NewEvent); }

private:
    template <class E, class EventCodec>
    void add(const E& event, const EventId& id, const EventCodec& codec)
    {
        events_.push_back({id, event_name<E>(), schema_version<E>(), EventCodec::content_type, {}, {}});
        codec.encode(event, bytes_);
        ends_.push_back(bytes_.size());
    }

    std::vector<std::byte> bytes_;
    std::vector<NewEvent> events_;
    std::vector<std::size_t> ends_;
};

} // namespace escqrs::inline v0::detail
