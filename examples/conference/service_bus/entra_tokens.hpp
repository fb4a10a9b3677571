// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "token_source.hpp"

#include <escqrs/core/backoff.hpp>
#include <escqrs/core/clock.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace service_bus {

/// How a process proves who it is to Microsoft Entra ID.
enum class EntraIdentity : std::uint8_t {
    managed, ///< managed identity: App Service, Container Apps and Functions, else a virtual machine's metadata service
    workload,    ///< workload identity of Kubernetes: a file that it writes anew before the token in it ends
    secret,      ///< application with a client secret
    certificate, ///< application with a certificate
};

/// What Azure's tools and SDKs read from the environment, under the same names.
struct EntraSettings {
    std::string tenant_id;            ///< AZURE_TENANT_ID
    std::string client_id;            ///< AZURE_CLIENT_ID; of a managed identity: which one, empty: the system's
    std::string client_secret;        ///< AZURE_CLIENT_SECRET
    std::string certificate_path;     ///< AZURE_CLIENT_CERTIFICATE_PATH: PEM with the certificate and its key
    std::string certificate_password; ///< AZURE_CLIENT_CERTIFICATE_PASSWORD: of the key
    std::string federated_token_file; ///< AZURE_FEDERATED_TOKEN_FILE
    std::string authority_host = "https://login.microsoftonline.com"; ///< AZURE_AUTHORITY_HOST
    std::string metadata_host =
        "http://169.254.169.254";  ///< AZURE_POD_IDENTITY_AUTHORITY_HOST, of the metadata service
    std::string identity_endpoint; ///< IDENTITY_ENDPOINT, of App Service and its like
    std::string identity_header;   ///< IDENTITY_HEADER

    /// For a request; the next one may come sooner or later.
    escqrs::Duration timeout = std::chrono::seconds{10};
};

/// Reads the settings from the environment.
EntraSettings entra_settings_from_environment();

/// The identity of that name: `managed`, `workload`, `secret` or `certificate`. `default` is the first of secret, certificate
/// and workload whose variables are set, else managed, in the order that Azure's `DefaultAzureCredential` tries.
/// @throws escqrs::TransportError if there is none of that name
EntraIdentity parse_entra_identity(std::string_view name, const EntraSettings& settings);

/// The name of an identity.
std::string_view to_text(EntraIdentity identity) noexcept;

/// Asks Microsoft Entra ID, or the service that does it for a managed identity, for tokens that Service Bus takes, and keeps
/// them (`cached`). Files are read anew each time. The errors show what the server answered, and no secret.
/// @param clock  must outlive the source
/// @throws escqrs::TransportError naming the variable that is not set, or what is wrong with it
TokenSource make_entra_token_source(EntraIdentity identity, EntraSettings settings,
                                    escqrs::Clock& clock = escqrs::system_clock(),
                                    escqrs::Jitter jitter = escqrs::random_jitter);

} // namespace service_bus
