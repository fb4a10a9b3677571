// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "connection_string.hpp"
#include "rest_api.hpp"
#include "token_source.hpp"

#include <escqrs/core/clock.hpp>
#include <escqrs/messaging/message_queue.hpp>

#include <stop_token>
#include <string>

namespace service_bus {

/// A queue to be made: with sessions, and duplicate detection where the options have a window for it.
struct QueueDescription {
    bool requires_session = true;
    escqrs::MessageQueueOptions options;
};

/// Manages a queue by its namespace's REST API.
/// @par Thread safety  any thread
class QueueAdministration {
public:
    /// @param broker  Service Bus, with the queue
    /// The other parameters, and what is thrown, are those of `RestApi`.
    explicit QueueAdministration(Broker broker, std::string endpoint = {}, std::string certificate_authorities = {},
                                 const escqrs::Clock& clock = escqrs::system_clock(), TokenSource tokens = {});

    /// Creates the queue unless it is there.
    EntityCreation create_if_missing(const QueueDescription& description);

    /// What the queue holds.
    /// @param stop  ends the wait for the answer
    escqrs::MessageQueueCounts counts(const std::stop_token& stop = {});

private:
    RestApi api_;
    std::string queue_;
};

} // namespace service_bus
