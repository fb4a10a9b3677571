// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/codec/archive/binary.hpp>
#include <escqrs/codec/codec.hpp>
#include <escqrs/domain/event.hpp>

#include <cstddef>
#include <vector>

namespace escqrs::inline v0::testing::detail {

/// The event as it comes back from a store.
template <class E>
E stored_form(const E& event)
{
    std::vector<std::byte> bytes;
    archive::BinaryOutput{bytes}.root(event, schema_version<E>());
    E stored{};
    archive::BinaryInput input{bytes};
    input.root(stored, schema_version<E>());
    input.finish();
    return stored;
}

/// Calls `visit(const E&)` for each event that the codec reads from the stored form of `event`, whose shape may be old.
template <class EventCodec, class E, class Visitor>
void read_as_stored(const E& event, Visitor&& visit)
{
    std::vector<std::byte> bytes;
    const EventCodec codec;
    codec.encode(event, bytes);
    typename EventCodec::Scratch scratch;
    codec.decode({event_name<E>(), schema_version<E>(), EventCodec::content_type, bytes}, scratch, visit);
}

} // namespace escqrs::inline v0::testing::detail
