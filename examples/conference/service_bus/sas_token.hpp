// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "connection_string.hpp"

#include <escqrs/timestamp.hpp>

#include <string>
#include <string_view>

namespace service_bus {

/// A shared access signature: a right to a resource for some time.
struct SasToken {
    std::string text;
    escqrs::Timestamp expires_at;
};

/// Signs a right to `resource`, such as `sb://host/queue`, that ends `lifetime` after `now`, to the second.
///
/// The key's text is the key as it stands, not decoded. See
/// https://learn.microsoft.com/azure/service-bus-messaging/service-bus-sas
SasToken make_sas_token(std::string_view resource, const SharedAccessKey& key, escqrs::Timestamp now,
                        escqrs::Duration lifetime);

/// When a token ends.
/// @throws escqrs::TransportError if it does not say so; the text does not show the token
escqrs::Timestamp expiry_of(std::string_view sas_token);

} // namespace service_bus
