// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/text.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

namespace escqrs::inline v0 {

/// Returns `text` as one line of valid UTF-8 of at most `max_length` bytes, for logs, queues and people: errors quote what came
/// from outside. An invalid byte becomes '?'; a control character, and a line end of Unicode's, becomes a blank.
inline std::string readable(std::string_view text, std::size_t max_length)
{
    const auto is_control = [](std::string_view character) {
        const auto lead = static_cast<unsigned char>(character.front());
        if (character.size() == 1) return lead < 0x20 || lead == 0x7F;
        const bool is_c1 = lead == 0xC2 && static_cast<unsigned char>(character[1]) < 0xA0; // NEL among them
        return is_c1 || character == "\xE2\x80\xA8" || character == "\xE2\x80\xA9";
    };
    std::string result;
    result.reserve(std::min(text.size(), max_length));
    while (!text.empty()) {
        const std::size_t length = archive::detail::utf8_sequence_length(text);
        const std::string_view character = text.substr(0, std::max<std::size_t>(length, 1));
        if (result.size() + character.size() > max_length) break;
        if (length == 0) result.push_back('?');
        else if (is_control(character)) result.push_back(' ');
        else result.append(character);
        text.remove_prefix(character.size());
    }
    return result;
}

} // namespace escqrs::inline v0
