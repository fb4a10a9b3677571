// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace service_bus {

/// `text` as a URL's query or a form has it.
std::string percent_encoded(std::string_view text);

std::string base64(std::span<const unsigned char> bytes);

/// In the alphabet of URLs, without padding.
std::string base64url(std::span<const unsigned char> bytes);
std::string base64url(std::string_view text);

/// The bytes of a text, as OpenSSL takes them.
inline std::span<const unsigned char> octets_of(std::string_view text)
{
    return {reinterpret_cast<const unsigned char*>(text.data()), text.size()}; // NOLINT: the same bytes
}

} // namespace service_bus
