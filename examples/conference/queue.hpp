// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "application/settings.hpp"
#include "application/storage.hpp"
#include "http/metrics.hpp"
#include "service_bus/message_queue.hpp"

#include <escqrs/in_memory/message_queue.hpp>
#include <escqrs/sqlite/message_queue.hpp>

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

// The queue between the roles, whatever it is: the one place that knows each kind.
namespace conference {

using Log = std::function<void(std::string_view)>;

/// What to do with a broker's queue follows from the settings; it is created if it is missing and the key may do so.
/// @throws SettingsError if the connection string does not make sense
service_bus::QueueSettings broker_settings(const Settings& settings, const Log& log);

/// What keeps messages from going; nothing if they can.
template <class Queue>
std::optional<std::string> problem_of(Queue& queue)
{
    (void)queue.counts(); // throws what is wrong
    return std::nullopt;
}
inline std::optional<std::string> problem_of(service_bus::MessageQueue& queue) { return queue.health().problem(); }

/// Whether the queue delivers the messages of a session in order, and the next one only when the one before is settled.
inline bool has_sessions(const Settings& settings)
{
    return settings.queue.scheme != "broker" || settings.queue_has_sessions;
}

/// Adds what there is to tell of the queue's state. `queue` must live longer than `gauges`.
/// @param give_up  when it is requested, no gauge waits for a server any more
template <class Queue>
void add_queue_gauges(http::Gauges& gauges, const Settings& /*settings*/, Queue& queue,
                      const std::stop_token& /*give_up*/)
{
    gauges.add("conference_queue_messages", "Messages waiting on the queue or being handled.", [&queue] {
        const auto counts = queue.counts();
        return static_cast<double>(counts.active + counts.locked + counts.scheduled);
    });
    gauges.add("conference_dead_letters", "Dead-lettered messages.",
               [&queue] { return static_cast<double>(queue.counts().dead_lettered); });
}
void add_queue_gauges(http::Gauges& gauges, const Settings& settings, service_bus::MessageQueue& queue,
                      const std::stop_token& give_up);

/// Opens the queue that the settings name and calls `use(queue)`, whatever its type.
/// @throws SettingsError, escqrs::TransportError
template <class Use>
void with_queue(const Settings& settings, const Log& log, Use&& use)
{
    if (settings.queue.scheme == "memory") {
        escqrs::in_memory::MessageQueue queue;
        use(queue);
    } else if (settings.queue.scheme == "broker") {
        service_bus::MessageQueue queue{broker_settings(settings, log)};
        use(queue);
    } else {
        escqrs::sqlite::MessageQueueSettings file;
        file.database.synchronous = synchronous_of(settings);
        file.database.busy_timeout = file_busy_timeout;
        escqrs::sqlite::MessageQueue queue{settings.queue.rest, {}, file};
        use(queue);
    }
}

} // namespace conference
