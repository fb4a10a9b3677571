// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "connection_string.hpp"
#include "http_request.hpp"
#include "token_source.hpp"

#include <escqrs/core/clock.hpp>
#include <escqrs/messaging/message_queue.hpp>

#include <boost/property_tree/ptree.hpp>

#include <cstdint>
#include <stop_token>
#include <string>

namespace service_bus {

enum class EntityCreation : std::uint8_t { created, existed, not_allowed };

/// The REST API by which the entities of a namespace are managed: Atom entries in XML.
/// See https://learn.microsoft.com/rest/api/servicebus/
/// @par Thread safety  any thread
class RestApi {
public:
    /// @param broker  Service Bus
    /// @param endpoint  of the API; empty: https:// and the broker's host
    /// @param certificate_authorities  PEM file of those trusted; empty: the system's
    /// @param clock   must outlive this
    /// @param tokens  whose tokens have the right to Manage; empty: from the broker's key
    /// @throws escqrs::TransportError if there is no key and no source, or the API would get its tokens unencrypted
    RestApi(const Broker& broker, std::string endpoint, std::string certificate_authorities, const escqrs::Clock& clock,
            TokenSource tokens);

    /// Creates the entity at `path` unless it is there.
    /// @param kind  of description, such as `QueueDescription`
    /// @throws escqrs::TransportError if the API cannot be reached or answers anything else
    EntityCreation create_if_missing(const std::string& path, const char* kind,
                                     const boost::property_tree::ptree& description) const;

    /// Deletes the entity. @return false if it was not there
    /// @throws escqrs::TransportError  as above, or if the token may not do it
    bool remove(const std::string& path) const;

    /// What the queue or subscription holds. The API counts locked messages as active ones.
    /// @param stop  ends the wait for the token and for the API
    /// @throws escqrs::TransportError  as above, or if there is none, or the token may not ask, or it was stopped
    escqrs::MessageQueueCounts counts(const std::string& path, const std::stop_token& stop = {}) const;

private:
    HttpResponse request(const char* method, const std::string& path, const std::string& body,
                         const std::stop_token& stop = {}) const;

    std::string host_;
    std::string endpoint_;
    std::string certificate_authorities_;
    TokenSource tokens_;
};

/// `duration` as ISO 8601 has it, in seconds: PT60S.
std::string to_iso8601(escqrs::Duration duration);

} // namespace service_bus
