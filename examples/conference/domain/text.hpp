// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <string_view>

namespace conference {

/// The text without blanks and line breaks at both ends.
inline std::string_view trimmed(std::string_view text)
{
    constexpr std::string_view blanks = " \t\r\n\f\v";
    const auto first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

} // namespace conference
