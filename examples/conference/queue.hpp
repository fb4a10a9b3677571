// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "application/settings.hpp"
#include "http/metrics.hpp"

#include <escqrs/messaging/any_message_queue.hpp>

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

// The queue between the roles, whatever it is: the one place that knows each kind.
namespace conference {

using Log = std::function<void(std::string_view)>;

/// Whether the queue delivers the messages of a session in order, and the next one only when the one before is settled.
inline bool has_sessions(const Settings& settings)
{
    return settings.queue.scheme != "broker" || settings.queue_has_sessions;
}

/// A queue of any kind, and what only its kind can tell.
struct OpenQueue {
    escqrs::AnyMessageQueue queue;

    /// What keeps messages from going; nothing if they can. Any thread.
    std::function<std::optional<std::string>()> problem;

    /// Adds what there is to tell of the queue's state, which the gauges keep open. When `give_up` is requested, no gauge waits
    /// for a server any more.
    std::function<void(http::Gauges& gauges, const std::stop_token& give_up)> add_gauges;
};

/// Opens the queue that the settings name. A broker's is created if it is missing and the key may do so.
/// @throws SettingsError, escqrs::TransportError
OpenQueue open_queue(const Settings& settings, const Log& log);

} // namespace conference
