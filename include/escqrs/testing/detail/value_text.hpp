// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/hex.hpp>
#include <escqrs/core/identifiers.hpp>
#include <escqrs/core/text.hpp>
#include <escqrs/core/type_identity.hpp>
#include <escqrs/domain/event.hpp>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <ratio>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

// How plain values read in a difference.
namespace escqrs::inline v0::testing::detail {

/// In quotes; characters that are invisible, or could be taken for a quote, are escaped.
inline std::string quoted(std::string_view text)
{
    std::string result{'\''};
    while (!text.empty()) {
        const std::string_view character =
            text.substr(0, std::max<std::size_t>(archive::detail::utf8_sequence_length(text), 1));
        if (character == "\n") result += "\\n";
        else if (character == "\r") result += "\\r";
        else if (character == "\t") result += "\\t";
        else if (character == "'" || character == "\\") result.append(1, '\\').append(character);
        else escqrs::detail::append_printable(result, character);
        text.remove_prefix(character.size());
    }
    return result += '\'';
}

/// `3 bytes 0a0b0c`
inline std::string hexadecimal(std::span<const std::byte> bytes)
{
    const std::string text = std::to_string(bytes.size()) + (bytes.size() == 1 ? " byte" : " bytes");
    return bytes.empty() ? text : text + ' ' + to_hex(bytes);
}

/// The shortest text that reads back to the same number.
template <class T>
std::string number_text(T value)
{
    char text[64];
    if constexpr (std::is_floating_point_v<T>) return {text, std::to_chars(text, text + sizeof text, value).ptr};
    else {
        using Wide = std::conditional_t<std::is_signed_v<T>, long long, unsigned long long>;
        return {text, std::to_chars(text, text + sizeof text, static_cast<Wide>(value)).ptr};
    }
}

/// ` ms`, with its space.
template <class Period>
std::string unit_of()
{
    if constexpr (std::ratio_equal_v<Period, std::nano>) return " ns";
    else if constexpr (std::ratio_equal_v<Period, std::micro>) return " us";
    else if constexpr (std::ratio_equal_v<Period, std::milli>) return " ms";
    else if constexpr (std::ratio_equal_v<Period, std::ratio<1>>) return " s";
    else if constexpr (std::ratio_equal_v<Period, std::ratio<60>>) return " min";
    else if constexpr (std::ratio_equal_v<Period, std::ratio<3600>>) return " h";
    else return " x " + std::to_string(Period::num) + "/" + std::to_string(Period::den) + " s";
}

/// An event's name; of another type the last part of its C++ name.
template <class T>
std::string short_name()
{
    if constexpr (HasEventName<T>) return std::string{T::event_name};
    else {
        std::string_view name = escqrs::detail::type_name<T>();
        const auto end = name.find('<');
        const auto colons = name.substr(0, end).rfind("::");
        return std::string{colons == std::string_view::npos ? name : name.substr(colons + 2)};
    }
}

} // namespace escqrs::inline v0::testing::detail
