// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "sas_token.hpp"

#include <escqrs/error.hpp>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <cctype>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <span>
#include <system_error>

namespace service_bus {
namespace {

constexpr std::string_view scheme = "SharedAccessSignature ";

std::string percent_encoded(std::string_view text)
{
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string encoded;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (std::isalnum(byte) != 0 || c == '-' || c == '_' || c == '.' || c == '~') {
            encoded.push_back(c);
        } else {
            encoded.push_back('%');
            encoded.push_back(digits[byte >> 4U]);
            encoded.push_back(digits[byte & 15U]);
        }
    }
    return encoded;
}

const unsigned char* octets_of(std::string_view text)
{
    return reinterpret_cast<const unsigned char*>(text.data()); // NOLINT: OpenSSL's bytes
}

std::string base64(std::span<const unsigned char> bytes)
{
    std::string encoded((bytes.size() + 2) / 3 * 4 + 1, '\0'); // and the end that OpenSSL writes
    const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()), bytes.data(), // NOLINT
                                       static_cast<int>(bytes.size()));
    encoded.resize(static_cast<std::size_t>(length));
    return encoded;
}

std::string signature(std::string_view text, std::string_view key)
{
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned length = 0;
    if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), octets_of(text), text.size(), digest.data(),
             &length) == nullptr)
        throw escqrs::TransportError{"cannot sign a token"};
    return base64(std::span{digest}.first(length));
}

} // namespace

SasToken make_sas_token(std::string_view resource, const SharedAccessKey& key, escqrs::Timestamp now,
                        escqrs::Duration lifetime)
{
    const auto end = std::chrono::floor<std::chrono::seconds>(now + lifetime);
    const std::string expiry = std::to_string(end.time_since_epoch().count());
    const std::string encoded_resource = percent_encoded(resource);
    std::string token{scheme};
    token.append("sr=").append(encoded_resource);
    token.append("&sig=").append(percent_encoded(signature(encoded_resource + "\n" + expiry, key.key)));
    token.append("&se=").append(expiry).append("&skn=").append(percent_encoded(key.name));
    return {std::move(token), end};
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
