// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// Shared by rooms; not API.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace escqrs::inline v0::archive::detail {

/// Length of the UTF-8 sequence (RFC 3629) at the start of `text`, 0 if there is none: overlong forms, surrogates and
/// values above U+10FFFF are none.
inline std::size_t utf8_sequence_length(std::string_view text) noexcept
{
    const auto byte = [&](std::size_t at) { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0U; };
    const auto continues = [&](std::size_t at) { return (byte(at) & 0xC0U) == 0x80U; };
    const unsigned lead = byte(0);
    if (text.empty()) return 0;
    if (lead < 0x80U) return 1;
    if (lead < 0xC2U) return 0;
    if (lead < 0xE0U) return continues(1) ? 2 : 0;
    if (lead < 0xF0U) {
        const bool overlong = lead == 0xE0U && byte(1) < 0xA0U;
        const bool surrogate = lead == 0xEDU && byte(1) >= 0xA0U;
        return continues(1) && continues(2) && !overlong && !surrogate ? 3 : 0;
    }
    if (lead > 0xF4U) return 0;
    const bool overlong = lead == 0xF0U && byte(1) < 0x90U;
    const bool too_large = lead == 0xF4U && byte(1) >= 0x90U;
    return continues(1) && continues(2) && continues(3) && !overlong && !too_large ? 4 : 0;
}

/// Length of the valid UTF-8 at the start of `text`: all of it, or up to the first byte that is wrong.
inline std::size_t valid_utf8_length(std::string_view text) noexcept
{
    std::size_t at = 0;
    while (at < text.size()) {
        const std::size_t length = utf8_sequence_length(text.substr(at));
        if (length == 0) break;
        at += length;
    }
    return at;
}

/// True if every character is ASCII, and so valid UTF-8: the usual case, which needs no closer look.
inline bool is_ascii(std::string_view text) noexcept
{
    constexpr std::uint64_t high_bits = 0x8080808080808080U;
    std::uint64_t seen = 0;
    if (text.size() < sizeof seen) {
        for (const char character : text) seen |= static_cast<unsigned char>(character);
        return seen < 0x80U;
    }
    const auto look = [&](std::size_t at) {
        std::uint64_t word = 0;
        std::memcpy(&word, text.data() + at, sizeof word);
        seen |= word;
    };
    for (std::size_t at = 0; at + sizeof seen < text.size(); at += sizeof seen) look(at);
    look(text.size() - sizeof seen); // may overlap the one before
    return (seen & high_bits) == 0;
}

inline bool is_utf8(std::string_view text) noexcept { return is_ascii(text) || valid_utf8_length(text) == text.size(); }

/// Appends a code point, which must not be a surrogate, as UTF-8.
inline void append_utf8(std::string& text, std::uint32_t code_point)
{
    const auto append = [&](std::uint32_t byte) {
        text.push_back(static_cast<char>(static_cast<unsigned char>(byte)));
    };
    if (code_point < 0x80U) append(code_point);
    else if (code_point < 0x800U) {
        append(0xC0U | code_point >> 6U);
        append(0x80U | (code_point & 0x3FU));
    } else if (code_point < 0x10000U) {
        append(0xE0U | code_point >> 12U);
        append(0x80U | (code_point >> 6U & 0x3FU));
        append(0x80U | (code_point & 0x3FU));
    } else {
        append(0xF0U | code_point >> 18U);
        append(0x80U | (code_point >> 12U & 0x3FU));
        append(0x80U | (code_point >> 6U & 0x3FU));
        append(0x80U | (code_point & 0x3FU));
    }
}

/// Base64 with padding (RFC 4648, section 4).
inline std::string to_base64(std::span<const std::byte> bytes)
{
    constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        const auto byte = [&](std::size_t index) {
            return index < bytes.size() ? static_cast<std::uint32_t>(bytes[index]) : 0U;
        };
        const std::uint32_t group = byte(at) << 16U | byte(at + 1) << 8U | byte(at + 2);
        text.push_back(digits[group >> 18U]);
        text.push_back(digits[group >> 12U & 0x3FU]);
        text.push_back(at + 1 < bytes.size() ? digits[group >> 6U & 0x3FU] : '=');
        text.push_back(at + 2 < bytes.size() ? digits[group & 0x3FU] : '=');
    }
    return text;
}

/// Reads what `to_base64` writes and nothing else: padded, in canonical form, no white space. False for anything else.
inline bool from_base64(std::string_view text, std::vector<std::byte>& bytes)
{
    const auto value = [](char digit) -> std::uint32_t {
        if (digit >= 'A' && digit <= 'Z') return static_cast<std::uint32_t>(digit - 'A');
        if (digit >= 'a' && digit <= 'z') return static_cast<std::uint32_t>(digit - 'a' + 26);
        if (digit >= '0' && digit <= '9') return static_cast<std::uint32_t>(digit - '0' + 52);
        if (digit == '+') return 62U;
        return digit == '/' ? 63U : 64U;
    };
    bytes.clear();
    if (text.size() % 4 != 0) return false;
    bytes.reserve(text.size() / 4 * 3);
    for (std::size_t at = 0; at < text.size(); at += 4) {
        const bool last = at + 4 == text.size();
        const std::size_t padding = last && text[at + 3] == '=' ? (text[at + 2] == '=' ? 2U : 1U) : 0U;
        std::uint32_t group = 0;
        for (std::size_t index = 0; index < 4; ++index) {
            const std::uint32_t digit = index < 4 - padding ? value(text[at + index]) : 0U;
            if (digit > 63U) return false;
            group = group << 6U | digit;
        }
        if (padding == 1 && (group & 0xFFU) != 0) return false;
        if (padding == 2 && (group & 0xFFFFU) != 0) return false;
        bytes.push_back(static_cast<std::byte>(group >> 16U & 0xFFU));
        if (padding < 2) bytes.push_back(static_cast<std::byte>(group >> 8U & 0xFFU));
        if (padding < 1) bytes.push_back(static_cast<std::byte>(group & 0xFFU));
    }
    return true;
}

} // namespace escqrs::inline v0::archive::detail
