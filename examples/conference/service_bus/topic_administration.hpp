// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "connection_string.hpp"
#include "property_value.hpp"
#include "rest_api.hpp"
#include "token_source.hpp"

#include <escqrs/core/clock.hpp>
#include <escqrs/messaging/message_queue.hpp>

#include <chrono>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace service_bus {

/// Matches where the expression is true, such as `colour = 'red' AND sys.Label LIKE 'order%'`.
/// See https://learn.microsoft.com/azure/service-bus-messaging/service-bus-messaging-sql-filter
struct SqlFilter {
    std::string expression;
};

/// Matches where all that is named here is equal. Cheaper for the broker than an expression.
struct CorrelationFilter {
    std::string correlation_id = {}; ///< empty, here and below: it does not matter
    std::string message_id = {};
    std::string to = {};
    std::string reply_to = {};
    std::string subject = {};
    std::string session_id = {};
    std::string reply_to_session_id = {};
    std::string content_type = {};
    std::vector<std::pair<std::string, PropertyValue>> properties = {};
};

/// A subscription takes what one of its rules matches.
struct Rule {
    std::string name;
    std::variant<SqlFilter, CorrelationFilter> filter;
};

struct TopicDescription {
    escqrs::Duration duplicate_detection_window = std::chrono::minutes{10}; ///< zero: duplicates are not detected
};

/// A subscription to be made. Duplicates are the topic's affair, so of the options that window has no meaning here.
struct SubscriptionDescription {
    bool requires_session = true;
    escqrs::MessageQueueOptions options = {};
    std::vector<Rule> rules = {}; ///< empty: it takes every message
};

/// Manages a topic, its subscriptions and their rules by the namespace's REST API.
/// @par Thread safety  any thread
class TopicAdministration {
public:
    /// @param broker  Service Bus, with the topic
    /// The other parameters, and what is thrown, are those of `RestApi`.
    explicit TopicAdministration(Broker broker, std::string endpoint = {}, std::string certificate_authorities = {},
                                 const escqrs::Clock& clock = escqrs::system_clock(), TokenSource tokens = {});

    /// Creates the topic unless it is there.
    /// @throws escqrs::TransportError if the API cannot be reached or refuses the description
    EntityCreation create_if_missing(const TopicDescription& description = {});

    /// Creates a subscription unless it is there, and adds those of the rules that it has none of the same name for. One that is
    /// created takes no message by another rule.
    /// @throws escqrs::TransportError  as above; calling it again adds what is missing
    EntityCreation create_subscription_if_missing(const std::string& name,
                                                  const SubscriptionDescription& description = {});

    /// Adds a rule to a subscription unless it has one of that name.
    EntityCreation add_rule(const std::string& subscription, const Rule& rule);

    /// @return false if there was no such rule
    bool remove_rule(const std::string& subscription, const std::string& rule);

    bool remove_subscription(const std::string& subscription);

    /// What a subscription holds.
    escqrs::MessageQueueCounts counts(const std::string& subscription) const;

    /// The address that a `MessageQueue` receives from: `topic/Subscriptions/name`.
    std::string address_of(const std::string& subscription) const;

private:
    RestApi api_;
    std::string topic_;
};

} // namespace service_bus
