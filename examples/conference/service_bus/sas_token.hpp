// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "connection_string.hpp"
#include "token_source.hpp"

#include <escqrs/core/clock.hpp>
#include <escqrs/core/timestamp.hpp>

#include <string_view>

namespace service_bus {

/// Signs a right to `resource`, such as `sb://host/queue`, that ends `lifetime` after `now`, to the second.
///
/// The key's text is the key as it stands, not decoded. See
/// https://learn.microsoft.com/azure/service-bus-messaging/service-bus-sas
AccessToken make_sas_token(std::string_view resource, const SharedAccessKey& key, escqrs::Timestamp now,
                           escqrs::Duration lifetime);

/// Signs tokens with the broker's key, each good for `lifetime`, or returns the signature that the broker came with.
/// @param clock  must outlive the source
/// @throws escqrs::TransportError if there is neither, or the signature does not say when it ends
TokenSource make_sas_token_source(const Broker& broker, escqrs::Duration lifetime, const escqrs::Clock& clock);

/// When a token ends.
/// @throws escqrs::TransportError if it does not say so; the text does not show the token
escqrs::Timestamp expiry_of(std::string_view sas_token);

} // namespace service_bus
