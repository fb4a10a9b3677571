// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "connection_string.hpp"

#include <escqrs/clock.hpp>
#include <escqrs/messaging.hpp>

#include <cstdint>
#include <string>

namespace service_bus {

/// A queue to be made: with sessions, and duplicate detection where the options have a window for it.
struct QueueDescription {
    bool requires_session = true;
    escqrs::MessageQueueOptions options;
};

enum class QueueCreation : std::uint8_t { created, existed, not_allowed };

/// Manages the queues of a namespace by its REST API.
/// See https://learn.microsoft.com/rest/api/servicebus/
/// @par Thread safety  any thread
class QueueAdministration {
public:
    /// @param broker  Service Bus, with a shared access key; its right to Manage is needed
    /// @param endpoint  of the API; empty: https:// and the broker's host
    /// @param certificate_authorities  PEM file of those trusted; empty: the system's
    explicit QueueAdministration(Broker broker, std::string endpoint = {}, std::string certificate_authorities = {},
                                 const escqrs::Clock& clock = escqrs::system_clock());

    /// Creates the broker's queue unless it is there.
    /// @throws escqrs::TransportError if the API cannot be reached or answers anything else
    QueueCreation create_if_missing(const QueueDescription& description);

    /// What the queue holds. The API counts locked messages as active ones.
    /// @throws escqrs::TransportError  as above, or if the key may not ask
    escqrs::MessageQueueCounts counts();

private:
    struct Answer {
        long status = 0;
        std::string body;
    };

    Answer request(const char* method, const std::string& body);

    Broker broker_;
    std::string endpoint_;
    std::string certificate_authorities_;
    const escqrs::Clock* clock_;
};

/// `duration` as ISO 8601 has it, in seconds: PT60S.
std::string to_iso8601(escqrs::Duration duration);

} // namespace service_bus
