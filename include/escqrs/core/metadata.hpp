// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/identifiers.hpp>
#include <escqrs/core/timestamp.hpp>

#include <string>
#include <utility>
#include <vector>

namespace escqrs::inline v0 {

/// What is known about an event next to its content: who and what caused it. Nil ids and empty texts mean "not given".
struct Metadata {
    /// Shared by all that results from one request.
    CorrelationId correlation_id{};
    /// The message that led directly to this event.
    CausationId causation_id{};
    /// The command it came from; makes a repeated command recognisable.
    CommandId command_id{};
    std::string actor{};       ///< who asked
    std::string traceparent{}; ///< W3C Trace Context, carried along
    /// Each name once, and none of CloudEvents' own.
    std::vector<std::pair<std::string, std::string>> headers{};
    /// Equals `command_id` if that was looked for in the log before the handler began, and nothing found: a repository
    /// does not look again. Never stored.
    CommandId new_command{};

    friend bool operator==(const Metadata&, const Metadata&) = default;
};

/// For default arguments, so that a call without metadata does not construct any.
inline const Metadata no_metadata{};

/// What a subscriber or projection receives with an event.
struct EventContext {
    StreamId stream;         ///< that the event belongs to
    StreamVersion version;   ///< of the event in its stream
    GlobalPosition position; ///< of the event in the log
    EventId id;              ///< unique in the log, but for `part`
    Timestamp recorded_at{}; ///< by the store's clock
    Metadata metadata{};     ///< stored with the event
    /// The event was handled before, and a read model is being rebuilt: cause nothing outside it.
    bool is_replay = false;
    /// Counts the events that an upcaster makes from one stored event: they share its id and version.
    unsigned part = 0;
};

} // namespace escqrs::inline v0
