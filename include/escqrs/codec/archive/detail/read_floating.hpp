// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <charconv>
#include <string_view>
#include <system_error>
#include <version>

#if !defined(__cpp_lib_to_chars)
#include <cmath>
#include <cstdlib>
#include <locale.h>
#include <string>
#if __has_include(<xlocale.h>)
#include <xlocale.h>
#endif
#endif

namespace escqrs::inline v0::archive::detail {

/// Reads a whole JSON number.
/// @return false if it is out of the range of `T`, or so near to zero that it would be read as zero
template <class T>
bool read_floating(std::string_view text, T& value)
{
#if defined(__cpp_lib_to_chars)
    return std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc{};
#else // libc++ until 19 reads integers only
    static const locale_t classic = ::newlocale(LC_ALL_MASK, "C", nullptr);
    const std::string ended{text};
    if constexpr (sizeof(T) == sizeof(float)) value = ::strtof_l(ended.c_str(), nullptr, classic);
    else value = ::strtod_l(ended.c_str(), nullptr, classic);
    const bool is_zero = text.substr(0, text.find_first_of("eE")).find_first_of("123456789") == text.npos;
    return std::isfinite(value) && (value != 0 || is_zero);
#endif
}

} // namespace escqrs::inline v0::archive::detail
