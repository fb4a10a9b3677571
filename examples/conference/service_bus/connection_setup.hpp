// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <proton/types.h>

#include <memory>

namespace service_bus {

struct AmqpConnectionOptions;

struct ConnectionDeleter {
    void operator()(pn_connection_t* connection) const noexcept;
    void operator()(pn_transport_t* transport) const noexcept;
};

/// A connection that is not open yet.
struct ConnectionSetup {
    std::unique_ptr<pn_connection_t, ConnectionDeleter> connection;
    std::unique_ptr<pn_transport_t, ConnectionDeleter> transport;
};

/// Makes a connection with the login, the TLS and the time-out that the options ask for.
/// @throws escqrs::TransportError if TLS cannot be set up
ConnectionSetup set_up_connection(const AmqpConnectionOptions& options);

} // namespace service_bus
