// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/identifiers.hpp>
#include <escqrs/core/timestamp.hpp>

#include <string>
#include <utility>
#include <vector>

namespace escqrs {

/// What is known about an event beside its content: who and what caused it. Nil ids and empty texts mean "not given".
struct Metadata {
    CorrelationId correlation_id{}; ///< the same for everything one outside request set off
    CausationId causation_id{};     ///< the message that led directly to this event
    CommandId command_id{};         ///< the command it came from; makes a repeated command recognisable
    std::string actor{};            ///< who asked
    std::string traceparent{};      ///< W3C Trace Context, carried along
    std::vector<std::pair<std::string, std::string>> headers{}; ///< each name once, and none of CloudEvents' own
    /// Equals `command_id` if that was looked for in the log before the handler began, and nothing found: a repository does
    /// not look again. Never stored.
    CommandId new_command{};

    friend bool operator==(const Metadata&, const Metadata&) = default;
};

/// For default arguments, so that a call without metadata does not construct any.
inline const Metadata no_metadata{};

/// What a subscriber or projection is told beside the event itself.
struct EventContext {
    StreamId stream;
    StreamVersion version;
    GlobalPosition position;
    EventId id;
    Timestamp recorded_at{};
    Metadata metadata{};
    bool is_replay =
        false;         ///< the event was handled before and a read model is being rebuilt: cause nothing outside it
    unsigned part = 0; ///< counts the events that an upcaster makes of one stored event: they share its id and version
};

} // namespace escqrs
