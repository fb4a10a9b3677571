// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "connection_string.hpp"

#include "loopback.hpp"

#include <escqrs/core/error.hpp>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstddef>
#include <initializer_list>
#include <optional>
#include <system_error>
#include <utility>

namespace service_bus {
namespace {

constexpr std::uint16_t tls_port = 5671;
constexpr std::uint16_t plain_port = 5672;

[[noreturn]] void refuse(const std::string& why) { throw escqrs::TransportError{"connection string: " + why}; }

char lower(char c) noexcept { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

bool equals_ignoring_case(std::string_view left, std::string_view right)
{
    return std::ranges::equal(left, right, [](char a, char b) { return lower(a) == lower(b); });
}

bool starts_with_ignoring_case(std::string_view text, std::string_view prefix)
{
    return text.size() >= prefix.size() && equals_ignoring_case(text.substr(0, prefix.size()), prefix);
}

/// `host`, `host:port` or `[v6]:port`.
void parse_authority(std::string_view authority, std::uint16_t default_port, const char* part, Broker& broker)
{
    const bool is_v6 = authority.starts_with('[');
    const auto host_end = is_v6 ? authority.find(']') : authority.find(':');
    if (is_v6 && host_end == std::string_view::npos) refuse(std::string{part} + ": expected ']' after the address");
    broker.host = is_v6 ? authority.substr(1, host_end - 1) : authority.substr(0, host_end);
    const bool is_host = !broker.host.empty() && std::ranges::all_of(broker.host, [is_v6](unsigned char c) {
        return std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_' || (is_v6 && c == ':');
    });
    if (!is_host) refuse(std::string{part} + ": expected a host name");
    std::string_view rest = host_end == std::string_view::npos ? std::string_view{} : authority.substr(host_end);
    if (is_v6) rest.remove_prefix(1);
    broker.port = default_port;
    if (rest.empty()) return;
    const std::string_view digits = rest.substr(1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), broker.port);
    if (!rest.starts_with(':') || error != std::errc{} || end != digits.data() + digits.size() || broker.port == 0)
        refuse(std::string{part} + ": expected a port from 1 to 65535 after the host");
}

std::string percent_decoded(std::string_view text, const char* part)
{
    std::string decoded;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '%') {
            decoded.push_back(text[at]);
            continue;
        }
        unsigned value = 0;
        const std::string_view digits = text.substr(at + 1, 2);
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
        if (digits.size() != 2 || error != std::errc{} || end != digits.data() + 2)
            refuse(std::string{part} + ": expected two hexadecimal digits after '%'");
        decoded.push_back(static_cast<char>(value));
        at += 2;
    }
    return decoded;
}

Broker parse_amqp(std::string_view text)
{
    Broker broker;
    broker.dialect = Dialect::amqp10;
    broker.tls = starts_with_ignoring_case(text, "amqps://");
    text.remove_prefix(text.find("://") + 3);
    const auto path = text.find('/');
    if (path != std::string_view::npos) broker.entity = percent_decoded(text.substr(path + 1), "queue");
    std::string_view authority = text.substr(0, path);
    if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
        const std::string_view login = authority.substr(0, at);
        const auto colon = login.find(':');
        if (colon == std::string_view::npos || colon == 0) refuse("login: expected user:password before '@'");
        broker.credentials = UserPassword{percent_decoded(login.substr(0, colon), "user"),
                                          percent_decoded(login.substr(colon + 1), "password")};
        authority.remove_prefix(at + 1);
    }
    parse_authority(authority, broker.tls ? tls_port : plain_port, "host", broker);
    return broker;
}

Broker parse_namespace(std::string_view text)
{
    Broker broker;
    text.remove_prefix(text.find("://") + 3);
    const auto path = text.find('/');
    if (path != std::string_view::npos) broker.entity = percent_decoded(text.substr(path + 1), "queue");
    if (text.find_first_of("?#;@") != std::string_view::npos)
        refuse("expected sb://host[:port][/queue] and nothing more");
    parse_authority(text.substr(0, path), tls_port, "host", broker);
    return broker;
}

/// The parts of a Service Bus connection string, each at most once.
class Parts {
public:
    explicit Parts(std::string_view text)
    {
        std::size_t number = 0;
        while (!text.empty()) {
            const auto end = text.find(';');
            const std::string_view part = text.substr(0, end);
            text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
            ++number;
            if (!part.empty()) add(part, number);
        }
    }

    const std::string* find(std::string_view name) const
    {
        const auto& value = values_[index_of(name)];
        return value ? &*value : nullptr;
    }

private:
    static constexpr std::array<std::string_view, 6> names{"Endpoint",        "SharedAccessKeyName",
                                                           "SharedAccessKey", "SharedAccessSignature",
                                                           "EntityPath",      "UseDevelopmentEmulator"};

    static std::size_t index_of(std::string_view name)
    {
        const auto* const found =
            std::ranges::find_if(names, [&](auto known) { return equals_ignoring_case(known, name); });
        return static_cast<std::size_t>(found - names.begin());
    }

    void add(std::string_view part, std::size_t number)
    {
        const auto equals = part.find('=');
        const std::size_t index = equals == std::string_view::npos ? names.size() : index_of(part.substr(0, equals));
        // What stands there may be a part of a secret that was torn: it is not shown.
        if (index == names.size())
            refuse("part " + std::to_string(number) +
                   ": expected Endpoint, SharedAccessKeyName, SharedAccessKey, SharedAccessSignature, EntityPath or "
                   "UseDevelopmentEmulator, with '=' and a value");
        const std::string name{names[index]};
        if (values_[index]) refuse(name + ": expected once, found again");
        if (equals + 1 == part.size()) refuse(name + ": expected a value, found none");
        values_[index] = part.substr(equals + 1);
    }

    std::array<std::optional<std::string>, names.size()> values_;
};

void parse_credentials(const Parts& parts, Broker& broker)
{
    const std::string* const name = parts.find("SharedAccessKeyName");
    const std::string* const key = parts.find("SharedAccessKey");
    const std::string* const signature = parts.find("SharedAccessSignature");
    if (signature != nullptr && (name != nullptr || key != nullptr))
        refuse("expected SharedAccessKeyName and SharedAccessKey, or SharedAccessSignature, found both");
    if (signature != nullptr) {
        broker.credentials = SharedAccessSignature{*signature};
        return;
    }
    if (name == nullptr) refuse("SharedAccessKeyName: expected a value, found none");
    if (key == nullptr) refuse("SharedAccessKey: expected a value, found none");
    broker.credentials = SharedAccessKey{*name, *key};
}

Broker parse_service_bus(std::string_view text)
{
    constexpr std::string_view scheme = "sb://";
    const Parts parts{text};
    Broker broker;
    if (const std::string* const emulator = parts.find("UseDevelopmentEmulator")) {
        broker.is_emulator = equals_ignoring_case(*emulator, "true");
        if (!broker.is_emulator && !equals_ignoring_case(*emulator, "false"))
            refuse("UseDevelopmentEmulator: expected true or false");
    }
    broker.tls = !broker.is_emulator;
    const std::string* const endpoint = parts.find("Endpoint");
    if (endpoint == nullptr) refuse("Endpoint: expected sb://host, found none");
    if (!starts_with_ignoring_case(*endpoint, scheme)) refuse("Endpoint: expected sb://host");
    std::string_view authority = std::string_view{*endpoint}.substr(scheme.size());
    if (authority.ends_with('/')) authority.remove_suffix(1);
    parse_authority(authority, broker.tls ? tls_port : plain_port, "Endpoint", broker);
    if (const std::string* const entity = parts.find("EntityPath")) broker.entity = *entity;
    parse_credentials(parts, broker);
    return broker;
}

} // namespace

Broker parse_broker(std::string_view text)
{
    if (starts_with_ignoring_case(text, "amqp://") || starts_with_ignoring_case(text, "amqps://"))
        return parse_amqp(text);
    if (starts_with_ignoring_case(text, "sb://")) return parse_namespace(text);
    return parse_service_bus(text);
}

std::optional<SubscriptionPath> subscription_in(std::string_view entity)
{
    constexpr std::string_view kind = "/Subscriptions";
    const auto slash = entity.rfind('/');
    if (slash == std::string_view::npos || slash + 1 == entity.size()) return std::nullopt;
    const std::string_view path = entity.substr(0, slash);
    if (path.size() <= kind.size() || !equals_ignoring_case(path.substr(path.size() - kind.size()), kind))
        return std::nullopt;
    return SubscriptionPath{std::string{path.substr(0, path.size() - kind.size())},
                            std::string{entity.substr(slash + 1)}};
}

void require_private(const Broker& broker, bool has_token_source)
{
    if (broker.tls || is_loopback(broker.host)) return;
    const auto* const key = std::get_if<SharedAccessKey>(&broker.credentials);
    const bool is_public = key != nullptr && key->key == "SAS_KEY_VALUE";
    const bool has_secret = !is_public && !std::holds_alternative<std::monostate>(broker.credentials);
    if (!has_token_source && !has_secret) return;
    refuse("expected TLS, or a loopback address, because a token or password would travel unencrypted; found '" +
           to_display_text(broker) + "'");
}

std::string to_display_text(const Broker& broker)
{
    const bool is_v6 = broker.host.find(':') != std::string::npos;
    return std::string{broker.dialect == Dialect::service_bus ? "sb"
                       : broker.tls                           ? "amqps"
                                                              : "amqp"} +
           "://" + (is_v6 ? "[" + broker.host + "]" : broker.host) + ":" + std::to_string(broker.port) + "/" +
           broker.entity;
}

} // namespace service_bus
