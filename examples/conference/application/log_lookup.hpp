// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/event_store.hpp>
#include <escqrs/identifiers.hpp>

#include <functional>
#include <optional>

namespace conference {

/// Tells whether the event log holds an event.
/// @par Thread safety  one thread at a time
class LogLookup {
public:
    using Open = std::function<escqrs::AnyEventStore()>;

    /// @param open  opens the log at the first look, and again at the next look after one that failed
    explicit LogLookup(Open open);

    /// @return nothing if the log cannot be read
    std::optional<bool> holds(const escqrs::StreamId& stream, escqrs::StreamVersion version);

private:
    Open open_;
    std::optional<escqrs::AnyEventStore> store_;
};

} // namespace conference
