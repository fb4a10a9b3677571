// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "log_lookup.hpp"

#include <escqrs/core/error.hpp>

#include <utility>

namespace conference {

LogLookup look_up_in(std::function<escqrs::AnyEventStore()> open)
{
    return [open = std::move(open), store = std::optional<escqrs::AnyEventStore>{}](
               const escqrs::StreamId& stream, escqrs::StreamVersion version) mutable -> std::optional<bool> {
        try {
            if (!store) store.emplace(open());
            bool is_there = false;
            store->read_stream(stream, version, [&](const escqrs::RecordedEvent&) {
                is_there = true;
                return false;
            });
            return is_there;
        } catch (const escqrs::StoreError&) {
            return std::nullopt;
        }
    };
}

} // namespace conference
