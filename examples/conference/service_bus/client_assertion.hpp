// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/timestamp.hpp>

#include <string>

namespace service_bus {

/// A certificate and its RSA key, by which an application proves who it is to Microsoft Entra ID.
struct ClientCertificate {
    std::string pem;      ///< both, in any order
    std::string password; ///< of the key; empty: it is not encrypted
};

/// Signs that `client_id` asks `audience` for a token: a JSON Web Token that is good for ten minutes from `now`. See
/// https://learn.microsoft.com/entra/identity-platform/certificate-credentials
/// @throws escqrs::TransportError if the certificate or the key cannot be used; the text shows neither
std::string make_client_assertion(const ClientCertificate& certificate, const std::string& client_id,
                                  const std::string& audience, escqrs::Timestamp now);

} // namespace service_bus
