// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace escqrs::inline v0 {

namespace detail {

inline constexpr std::string_view hex_digits = "0123456789abcdef";

} // namespace detail

/// Appends the two digits of a byte, in lower case.
inline void append_hex(std::string& text, unsigned char byte)
{
    text += detail::hex_digits[byte >> 4U];
    text += detail::hex_digits[byte & 0x0FU];
}

/// Formats bytes as hexadecimal digits, in lower case.
template <class Bytes>
std::string to_hex(const Bytes& bytes)
{
    std::string text;
    text.reserve(2 * std::size(bytes));
    for (const auto byte : bytes) append_hex(text, static_cast<unsigned char>(byte));
    return text;
}

} // namespace escqrs::inline v0
