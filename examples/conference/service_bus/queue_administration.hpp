// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "connection_string.hpp"
#include "http_request.hpp"
#include "token_source.hpp"

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
    /// @param broker  Service Bus
    /// @param endpoint  of the API; empty: https:// and the broker's host
    /// @param certificate_authorities  PEM file of those trusted; empty: the system's
    /// @param clock   must outlive this
    /// @param tokens  whose tokens have the right to Manage; empty: from the broker's key
    /// @throws escqrs::TransportError if there is no key and no source
    explicit QueueAdministration(Broker broker, std::string endpoint = {}, std::string certificate_authorities = {},
                                 const escqrs::Clock& clock = escqrs::system_clock(), TokenSource tokens = {});

    /// Creates the broker's queue unless it is there.
    /// @throws escqrs::TransportError if the API cannot be reached or answers anything else
    QueueCreation create_if_missing(const QueueDescription& description);

    /// What the queue holds. The API counts locked messages as active ones.
    /// @throws escqrs::TransportError  as above, or if the key may not ask
    escqrs::MessageQueueCounts counts();

private:
    HttpResponse request(const char* method, const std::string& body);

    Broker broker_;
    std::string endpoint_;
    std::string certificate_authorities_;
    TokenSource tokens_;
};

/// `duration` as ISO 8601 has it, in seconds: PT60S.
std::string to_iso8601(escqrs::Duration duration);

} // namespace service_bus
