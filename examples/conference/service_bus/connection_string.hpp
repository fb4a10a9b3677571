// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace service_bus {

/// What a broker speaks on top of AMQP 1.0.
enum class Dialect : std::uint8_t {
    /// Tokens on `$cbs`, locks with an end, confirmed settlement, `$management`.
    service_bus,
    amqp10, ///< nothing
};

struct SharedAccessKey {
    std::string name;
    std::string key;

    friend bool operator==(const SharedAccessKey&, const SharedAccessKey&) = default;
};

/// A token that another party has signed: `SharedAccessSignature sr=…&sig=…&se=…&skn=…`.
struct SharedAccessSignature {
    std::string token;

    friend bool operator==(const SharedAccessSignature&, const SharedAccessSignature&) = default;
};

struct UserPassword {
    std::string user;
    std::string password;

    friend bool operator==(const UserPassword&, const UserPassword&) = default;
};

/// Where a broker is, and how it lets us in.
struct Broker {
    Dialect dialect = Dialect::service_bus;
    std::string host;
    std::uint16_t port = 0;
    bool tls = true;
    /// Queue, topic, or `topic/Subscriptions/name`; empty if not named.
    std::string entity;
    std::variant<std::monostate, SharedAccessKey, SharedAccessSignature, UserPassword> credentials;
    bool is_emulator = false;

    friend bool operator==(const Broker&, const Broker&) = default;
};

/// Reads a Service Bus connection string,
/// `Endpoint=sb://host[:port]/;SharedAccessKeyName=…;SharedAccessKey=…[;EntityPath=…][;UseDevelopmentEmulator=true]` or
/// with `SharedAccessSignature=…` for a key, or the address of a queue at another AMQP 1.0 broker,
/// `amqp[s]://[user:password@]host[:port]/queue`, percent-encoded. `sb://host[:port][/queue]` is Service Bus without a
/// key: the connection needs a token source.
/// @throws escqrs::TransportError naming the part, what was expected and what was found, but never a secret
Broker parse_broker(std::string_view text);

/// What the path `topic/Subscriptions/name` of an entity names.
struct SubscriptionPath {
    std::string topic;
    std::string name;
};

/// @return nothing if `entity` is a queue or a topic
std::optional<SubscriptionPath> subscription_in(std::string_view entity);

/// Refuses a broker that would get a token or a password unencrypted over a network. Only the key that Microsoft
/// publishes with its emulator, `SAS_KEY_VALUE`, is no secret.
/// @param has_token_source  tokens come from a source, not from the broker's key
/// @throws escqrs::TransportError naming the broker
void require_private(const Broker& broker, bool has_token_source);

/// For people: `sb://host:port/entity`, without secrets.
std::string to_display_text(const Broker& broker);

} // namespace service_bus
