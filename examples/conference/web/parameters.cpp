// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "parameters.hpp"

#include <charconv>
#include <system_error>

namespace conference::web {

std::uint64_t parse_number(const std::string& text, const char* field, std::uint64_t least, std::uint64_t most)
{
    std::uint64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc{} || stopped != end || number < least || number > most) {
        http::refuse(400, "malformed-parameter",
                     std::string{field} + " must be a number from " + std::to_string(least) + " to " +
                         std::to_string(most) + ".",
                     field);
    }
    return number;
}

} // namespace conference::web
