// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "log_lookup.hpp"

#include <escqrs/error.hpp>

#include <utility>

namespace conference {

LogLookup::LogLookup(Open open) : open_{std::move(open)} {}

std::optional<bool> LogLookup::holds(const escqrs::StreamId& stream, escqrs::StreamVersion version)
{
    try {
        if (!store_) store_.emplace(open_());
        bool is_there = false;
        store_->read_stream(stream, version, [&](const escqrs::RecordedEvent&) {
            is_there = true;
            return false;
        });
        return is_there;
    } catch (const escqrs::StoreError&) {
        store_.reset();
        return std::nullopt;
    }
}

} // namespace conference
