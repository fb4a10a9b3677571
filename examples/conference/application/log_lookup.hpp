// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/identifiers.hpp>
#include <escqrs/store/any_event_store.hpp>

#include <functional>
#include <optional>

namespace conference {

/// Tells whether the event log holds an event; nothing if the log cannot be read.
using LogLookup = std::function<std::optional<bool>(const escqrs::StreamId&, escqrs::StreamVersion)>;

/// A look-up in the log that `open` opens, at the first look. It keeps the log open for as long as it lives, which should not be
/// long: it does not notice that another log has taken the place of this one.
LogLookup look_up_in(std::function<escqrs::AnyEventStore()> open);

} // namespace conference
