// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <atomic>
#include <cstddef>
#include <string_view>

namespace escqrs::detail {

template <class Family>
std::size_t next_type_index() noexcept
{
    static std::atomic<std::size_t> next{0};
    return next.fetch_add(1, std::memory_order_relaxed);
}

/// A small number for each type of a family, given out in order of first use; an index into a table needs no RTTI.
template <class Family, class T>
std::size_t type_index() noexcept
{
    static const std::size_t index = next_type_index<Family>();
    return index;
}

/// The C++ name of a type, for error texts only.
template <class T>
constexpr std::string_view type_name() noexcept
{
    // "... [with T = conference::RegisterAttendee; ...]" (GCC) or "... [T = conference::RegisterAttendee]" (Clang)
    constexpr std::string_view function = __PRETTY_FUNCTION__;
    constexpr std::size_t begin = function.find("T = ") + 4;
    constexpr std::size_t end = function.find_first_of(";]", begin);
    return function.substr(begin, end - begin);
}

} // namespace escqrs::detail
