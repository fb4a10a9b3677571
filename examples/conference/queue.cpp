// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "queue.hpp"

#include "application/storage.hpp"
#include "service_bus/entra_tokens.hpp"
#include "service_bus/message_queue.hpp"
#include "service_bus/queue_administration.hpp"

#include <escqrs/core/clock.hpp>
#include <escqrs/core/error.hpp>
#include <escqrs/in_memory/message_queue.hpp>
#include <escqrs/sqlite/message_queue.hpp>

#include <chrono>
#include <memory>
#include <stop_token>
#include <utility>
#include <variant>

namespace conference {
namespace {

service_bus::Broker broker_of(const Settings& settings)
{
    try {
        auto broker = service_bus::parse_broker(settings.queue.rest);
        if (broker.entity.empty()) broker.entity = settings.queue_name;
        service_bus::require_private(broker, !settings.azure_identity.empty());
        return broker;
    } catch (const escqrs::TransportError& error) {
        throw SettingsError{std::string{"--queue: "} + error.what()};
    }
}

/// Empty where tokens are signed with the broker's key.
service_bus::TokenSource tokens_of(const Settings& settings, const Log& log)
{
    if (settings.azure_identity.empty()) return {};
    try {
        auto entra = service_bus::entra_settings_from_environment();
        const auto identity = service_bus::parse_entra_identity(settings.azure_identity, entra);
        log("queue: Microsoft Entra ID knows us by identity '" + std::string{to_text(identity)} + "'");
        return service_bus::make_entra_token_source(identity, std::move(entra));
    } catch (const escqrs::TransportError& error) {
        throw SettingsError{std::string{"--azure-identity: "} + error.what()};
    }
}

/// The REST API can be asked if there is a key or an identity, and, for the emulator, if it was told where.
bool can_manage(const service_bus::Broker& broker, const Settings& settings)
{
    return broker.dialect == service_bus::Dialect::service_bus &&
           (!settings.azure_identity.empty() ||
            std::holds_alternative<service_bus::SharedAccessKey>(broker.credentials)) &&
           !(broker.is_emulator && settings.queue_management.empty()) &&
           broker.entity.find('/') == std::string::npos; // a subscription is not made by itself
}

service_bus::QueueAdministration administration(const service_bus::Broker& broker, const Settings& settings,
                                                const service_bus::TokenSource& tokens)
{
    try {
        return service_bus::QueueAdministration{broker, settings.queue_management, settings.queue_certificates,
                                                escqrs::system_clock(), tokens};
    } catch (const escqrs::TransportError& error) {
        throw SettingsError{std::string{"--queue-management: "} + error.what()};
    }
}

void create_if_missing(const service_bus::AmqpConnectionOptions& connection, const Settings& settings, const Log& log)
{
    const service_bus::Broker& broker = connection.broker;
    if (!can_manage(broker, settings)) return;
    const std::string queue = "queue '" + broker.entity + "'";
    try {
        auto manager = administration(broker, settings, connection.tokens);
        switch (manager.create_if_missing({settings.queue_has_sessions, {}})) {
        case service_bus::EntityCreation::created: log(queue + " created"); break;
        case service_bus::EntityCreation::existed: break;
        case service_bus::EntityCreation::not_allowed:
            log(queue + " is not created if it is missing: the " + (connection.tokens ? "identity" : "key") +
                " has no right to Manage");
            break;
        }
    } catch (const escqrs::TransportError& error) {
        log(queue + " may be missing: " + error.what()); // if it is, readiness says so
    }
}

service_bus::QueueSettings broker_settings(const Settings& settings, const Log& log)
{
    service_bus::QueueSettings queue;
    queue.connection.broker = broker_of(settings);
    queue.connection.tokens = tokens_of(settings, log);
    queue.connection.certificate_authorities = settings.queue_certificates;
    queue.connection.log = log;
    queue.receiver.sessions = settings.queue_has_sessions;
    queue.receiver.max_lock_renewal = escqrs::Duration::zero(); // the worker renews
    queue.sender.timeout = std::chrono::seconds{5}; // the relay tries again; a stop does not wait for longer
    using enum service_bus::QueueUse;
    queue.use = settings.role == Role::web ? send : settings.role == Role::worker ? receive : both;
    create_if_missing(queue.connection, settings, log);
    return queue;
}

void add_broker_gauges(http::Gauges& gauges, const Settings& settings,
                       const std::shared_ptr<service_bus::MessageQueue>& queue, const std::stop_token& give_up)
{
    const auto flag = [&queue](bool service_bus::QueueHealth::*member) {
        return [queue, member] { return queue->health().*member ? 1.0 : 0.0; };
    };
    gauges.add("conference_queue_connected", "1 while there is a connection to the broker.",
               flag(&service_bus::QueueHealth::connected));
    gauges.add("conference_queue_authorised", "1 while the broker has taken our token.",
               flag(&service_bus::QueueHealth::authorised));
    gauges.add("conference_queue_attached", "1 while the broker lets us send and receive.",
               flag(&service_bus::QueueHealth::attached));
    gauges.add("conference_queue_waits_for_session",
               "1 while the broker lets us send and has no session for us to receive from.",
               flag(&service_bus::QueueHealth::waits_for_session));
    gauges.add("conference_queue_connections", "Connections made to the broker so far.",
               [queue] { return static_cast<double>(queue->health().connections); });
    const auto broker = broker_of(settings);
    if (!can_manage(broker, settings)) return;
    const auto manager =
        std::make_shared<service_bus::QueueAdministration>(administration(broker, settings, queue->tokens()));
    gauges.add("conference_queue_messages", "Messages waiting on the queue or being handled.", [manager, give_up] {
        const auto counts = manager->counts(give_up);
        return static_cast<double>(counts.active + counts.scheduled);
    });
    gauges.add("conference_dead_letters", "Dead-lettered messages.",
               [manager, give_up] { return static_cast<double>(manager->counts(give_up).dead_lettered); });
}

/// A queue that counts its messages itself.
template <class Queue>
OpenQueue opened(const std::shared_ptr<Queue>& queue)
{
    return {.queue = escqrs::AnyMessageQueue{queue},
            .problem = [queue]() -> std::optional<std::string> {
                (void)queue->counts(); // throws what is wrong
                return std::nullopt;
            },
            .add_gauges =
                [queue](http::Gauges& gauges, const std::stop_token&) {
                    gauges.add("conference_queue_messages", "Messages waiting on the queue or being handled.", [queue] {
                        const auto counts = queue->counts();
                        return static_cast<double>(counts.active + counts.locked + counts.scheduled);
                    });
                    gauges.add("conference_dead_letters", "Dead-lettered messages.",
                               [queue] { return static_cast<double>(queue->counts().dead_lettered); });
                }};
}

OpenQueue open_broker(const Settings& settings, const Log& log)
{
    const auto queue = std::make_shared<service_bus::MessageQueue>(broker_settings(settings, log));
    return {.queue = escqrs::AnyMessageQueue{queue},
            .problem = [queue] { return queue->health().problem(); },
            .add_gauges =
                [settings, queue](http::Gauges& gauges, const std::stop_token& give_up) {
                    add_broker_gauges(gauges, settings, queue, give_up);
                }};
}

} // namespace

OpenQueue open_queue(const Settings& settings, const Log& log)
{
    if (settings.queue.scheme == "memory") return opened(std::make_shared<escqrs::in_memory::MessageQueue>());
    if (settings.queue.scheme == "broker") return open_broker(settings, log);
    escqrs::sqlite::MessageQueueSettings file;
    file.database.synchronous = synchronous_of(settings);
    file.database.busy_timeout = file_busy_timeout;
    return opened(
        std::make_shared<escqrs::sqlite::MessageQueue>(settings.queue.rest, escqrs::MessageQueueOptions{}, file));
}

} // namespace conference
