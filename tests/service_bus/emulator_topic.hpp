// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "emulator_queue.hpp"

#include <service_bus/topic_administration.hpp>

#include <string>
#include <utility>
#include <vector>

namespace service_bus_test {

using service_bus::QueueUse;
using service_bus::SubscriptionDescription;
using service_bus::TopicAdministration;

/// A topic of the emulator's, and clients of it.
struct EmulatorTopic {
    TopicAdministration administration(const std::string& connection_string) const
    {
        service_bus::Broker broker = service_bus::parse_broker(connection_string);
        broker.host = "localhost";
        return TopicAdministration{broker, emulator.rest_endpoint(), emulator.certificate(), emulator.clock()};
    }
    TopicAdministration administration() const { return administration(emulator.connection_string(name)); }

    MessageQueue publisher() const
    {
        QueueSettings settings = EmulatorQueue{name, {}, emulator}.settings();
        settings.use = QueueUse::publish;
        return MessageQueue{settings};
    }

    MessageQueue subscriber(const std::string& subscription) const
    {
        QueueSettings settings = EmulatorQueue{name + "/Subscriptions/" + subscription, {}, emulator}.settings();
        settings.use = QueueUse::receive;
        return MessageQueue{settings};
    }

    /// For Microsoft's SDK, which speaks HTTPS to the REST API.
    std::string rest_connection_string() const
    {
        const std::string text = emulator.connection_string(name, true);
        const std::string rest = emulator.rest_endpoint();
        const auto key = text.find("SharedAccessKeyName=");
        return "Endpoint=sb://" + rest.substr(rest.find("//") + 2) + "/;" +
               text.substr(key, text.find(";EntityPath") - key);
    }

    Emulator& emulator = Emulator::shared();
    std::string name = emulator.new_name();
};

inline SubscriptionDescription without_sessions(std::vector<service_bus::Rule> rules)
{
    return {.requires_session = false, .options = {}, .rules = std::move(rules)};
}

} // namespace service_bus_test
