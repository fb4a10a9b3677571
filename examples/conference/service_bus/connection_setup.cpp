// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "connection_setup.hpp"

#include "amqp_connection.hpp"

#include <escqrs/core/error.hpp>
#include <escqrs/core/id_generator.hpp>

#include <proton/connection.h>
#include <proton/sasl.h>
#include <proton/ssl.h>
#include <proton/transport.h>

#include <cstdint>
#include <string>
#include <variant>

namespace service_bus {
namespace {

/// Service Bus ends a connection that was silent for 4 minutes; a peer silent for so long is dead to us.
constexpr pn_millis_t idle_timeout_ms = 60'000;

/// The most bytes that the peer may send as one frame, which Proton buffers whole. Larger messages come in several frames.
constexpr std::uint32_t longest_frame = std::uint32_t{1} << 20U;

struct SslDomainDeleter {
    void operator()(pn_ssl_domain_t* domain) const noexcept { pn_ssl_domain_free(domain); }
};

void set_up_tls(pn_transport_t* transport, const AmqpConnectionOptions& options)
{
    const std::unique_ptr<pn_ssl_domain_t, SslDomainDeleter> domain{pn_ssl_domain(PN_SSL_MODE_CLIENT)};
    if (!domain) throw escqrs::TransportError{"TLS is not available in this build of Proton"};
    const char* const authorities =
        options.certificate_authorities.empty() ? nullptr : options.certificate_authorities.c_str();
    if (authorities != nullptr && pn_ssl_domain_set_trusted_ca_db(domain.get(), authorities) != 0)
        throw escqrs::TransportError{"cannot read the trusted certificates in '" + options.certificate_authorities +
                                     "'"};
    if (pn_ssl_domain_set_peer_authentication(domain.get(), PN_SSL_VERIFY_PEER_NAME, authorities) != 0)
        throw escqrs::TransportError{"cannot have the peer's certificate verified"};
    pn_ssl_t* const ssl = pn_ssl(transport);
    if (pn_ssl_init(ssl, domain.get(), nullptr) != 0) throw escqrs::TransportError{"cannot set up TLS"};
    pn_ssl_set_peer_hostname(ssl, options.broker.host.c_str());
}

} // namespace

void ConnectionDeleter::operator()(pn_connection_t* connection) const noexcept { pn_connection_free(connection); }
void ConnectionDeleter::operator()(pn_transport_t* transport) const noexcept { pn_transport_free(transport); }

ConnectionSetup set_up_connection(const AmqpConnectionOptions& options)
{
    const Broker& broker = options.broker;
    ConnectionSetup setup;
    setup.transport.reset(pn_transport());
    setup.connection.reset(pn_connection());
    pn_transport_t* const transport = setup.transport.get();
    pn_connection_t* const connection = setup.connection.get();
    const std::string name = "escqrs-" + escqrs::to_string(escqrs::random_uuid());
    pn_connection_set_container(connection, name.c_str());
    pn_connection_set_hostname(connection, broker.host.c_str());
    const auto* const login = std::get_if<UserPassword>(&broker.credentials);
    if (login != nullptr) {
        pn_connection_set_user(connection, login->user.c_str());
        pn_connection_set_password(connection, login->password.c_str());
    }
    pn_sasl_t* const sasl = pn_sasl(transport);
    pn_sasl_allowed_mechs(sasl, login != nullptr ? "PLAIN" : "ANONYMOUS");
    if (login != nullptr) pn_sasl_set_allow_insecure_mechs(sasl, true); // amqp:// was asked for
    pn_transport_set_idle_timeout(transport, idle_timeout_ms);
    pn_transport_set_max_frame(transport, longest_frame);
    if (broker.tls) set_up_tls(transport, options);
    return setup;
}

} // namespace service_bus
