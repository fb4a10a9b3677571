// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "readable_text.hpp"

#include <algorithm>
#include <cstdint>

namespace conference {
namespace {

/// Length of the UTF-8 character that `text` begins with, by table 3-7 of the Unicode standard; 0 if it is not one.
std::size_t utf8_length(std::string_view text)
{
    const auto byte = [&](std::size_t index) { return static_cast<std::uint8_t>(text[index]); };
    const std::uint8_t lead = byte(0);
    if (lead < 0x80) return 1;
    const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
    // The second byte's range excludes overlong forms, surrogates and what lies beyond U+10FFFF.
    const std::uint8_t lowest = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const std::uint8_t highest = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (byte(1) < lowest || byte(1) > highest) return 0;
    for (std::size_t index = 2; index < length; ++index) {
        if (byte(index) < 0x80 || byte(index) > 0xBF) return 0;
    }
    return length;
}

/// Whether a whole character is a control character, or a line end of Unicode's.
bool is_control(std::string_view character)
{
    const auto lead = static_cast<std::uint8_t>(character.front());
    if (character.size() == 1) return lead < 0x20 || lead == 0x7F;
    const bool is_c1 = lead == 0xC2 && static_cast<std::uint8_t>(character[1]) < 0xA0; // NEL among them
    return is_c1 || character == "\xE2\x80\xA8" || character == "\xE2\x80\xA9";
}

} // namespace

std::string readable(std::string_view text, std::size_t max_length)
{
    std::string result;
    result.reserve(std::min(text.size(), max_length));
    while (!text.empty()) {
        const std::size_t length = utf8_length(text);
        if (result.size() + std::max<std::size_t>(length, 1) > max_length) break;
        if (length == 0) {
            result.push_back('?');
        } else if (is_control(text.substr(0, length))) {
            result.push_back(' ');
        } else {
            result.append(text.substr(0, length));
        }
        text.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return result;
}

} // namespace conference
