// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "encoding.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <cctype>
#include <cstddef>

namespace service_bus {

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

std::string base64(std::span<const unsigned char> bytes)
{
    std::string encoded((bytes.size() + 2) / 3 * 4 + 1, '\0'); // and the end that OpenSSL writes
    const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()), bytes.data(), // NOLINT
                                       static_cast<int>(bytes.size()));
    encoded.resize(static_cast<std::size_t>(length));
    return encoded;
}

std::string base64url(std::span<const unsigned char> bytes)
{
    std::string encoded = base64(bytes);
    encoded.erase(std::min(encoded.find('='), encoded.size()));
    std::ranges::replace(encoded, '+', '-');
    std::ranges::replace(encoded, '/', '_');
    return encoded;
}

std::string base64url(std::string_view text) { return base64url(octets_of(text)); }

} // namespace service_bus
