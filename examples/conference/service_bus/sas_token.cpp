// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "sas_token.hpp"

#include "encoding.hpp"

#include <escqrs/core/error.hpp>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <span>
#include <system_error>
#include <utility>
#include <variant>

namespace service_bus {
namespace {

constexpr std::string_view scheme = "SharedAccessSignature ";

std::string signature(std::string_view text, std::string_view key)
{
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned length = 0;
    if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), octets_of(text).data(), text.size(), digest.data(),
             &length) == nullptr)
        throw escqrs::TransportError{"cannot sign a token"};
    return base64(std::span{digest}.first(length));
}

} // namespace

AccessToken make_sas_token(std::string_view resource, const SharedAccessKey& key, escqrs::Timestamp now,
                           escqrs::Duration lifetime)
{
    const auto end = std::chrono::floor<std::chrono::seconds>(now + lifetime);
    const std::string expiry = std::to_string(end.time_since_epoch().count());
    const std::string encoded_resource = percent_encoded(resource);
    std::string token{scheme};
    token.append("sr=").append(encoded_resource);
    token.append("&sig=").append(percent_encoded(signature(encoded_resource + "\n" + expiry, key.key)));
    token.append("&se=").append(expiry).append("&skn=").append(percent_encoded(key.name));
    return {std::move(token), TokenType::shared_access_signature, end, {}};
}

TokenSource make_sas_token_source(const Broker& broker, escqrs::Duration lifetime, const escqrs::Clock& clock)
{
    if (const auto* const key = std::get_if<SharedAccessKey>(&broker.credentials)) {
        return [key = *key, lifetime, &clock](const TokenRequest& request) {
            return make_sas_token(request.resource, key, clock.now(), lifetime);
        };
    }
    const auto* const given = std::get_if<SharedAccessSignature>(&broker.credentials);
    if (given == nullptr)
        throw escqrs::TransportError{"Service Bus needs a token source, a shared access key or signature, found none"};
    AccessToken token{given->token, TokenType::shared_access_signature, expiry_of(given->token), {}};
    return [token = std::move(token)](const TokenRequest&) { return token; };
}

escqrs::Timestamp expiry_of(std::string_view sas_token)
{
    const auto refuse = [](const char* why) {
        throw escqrs::TransportError{std::string{"SharedAccessSignature: "} + why};
    };
    if (!sas_token.starts_with(scheme)) refuse("expected a token that begins with 'SharedAccessSignature '");
    std::string_view fields = sas_token.substr(scheme.size());
    while (!fields.empty()) {
        const auto end = fields.find('&');
        const std::string_view field = fields.substr(0, end);
        fields = end == std::string_view::npos ? std::string_view{} : fields.substr(end + 1);
        if (!field.starts_with("se=")) continue;
        const std::string_view digits = field.substr(3);
        std::int64_t seconds = 0;
        const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), seconds);
        constexpr std::int64_t last_second = 253'402'300'799; // of the year 9999
        if (error != std::errc{} || stop != digits.data() + digits.size() || seconds < 0 || seconds > last_second)
            refuse("expected seconds since 1970 as 'se'");
        return escqrs::Timestamp{std::chrono::seconds{seconds}};
    }
    refuse("expected its end as 'se', found none");
    return {};
}

} // namespace service_bus
