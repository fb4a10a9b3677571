// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/testing/fields_of.hpp>

#include <concepts>
#include <string>
#include <string_view>
#include <type_traits>

namespace escqrs::inline v0::testing::detail {

/// Texts of any kind are compared as texts.
template <class T>
using Comparable = std::conditional_t<std::is_convertible_v<const T&, std::string_view>, std::string, T>;

/// True if `Expected` converts to a `Value` without surprise: no number is made from something else, nor a container
/// from a number.
template <class Value, class Expected>
concept ComparableWith =
    (std::is_same_v<Value, std::string> && std::is_constructible_v<Value, const Expected&>) ||
    (std::is_arithmetic_v<Value> ? std::is_arithmetic_v<Expected> : std::is_convertible_v<const Expected&, Value>);

/// The difference between two values, one line for each field that differs; empty if there is none.
///
/// Values that can be stored are compared field by field; others by their `==`.
template <class Found, class Expected>
std::string compare_values(const Found& found, const Expected& expected)
{
    using Value = Comparable<Found>;
    static_assert(ComparableWith<Value, Expected>,
                  "escqrs: what is expected cannot be compared with what is found: it is of another type");
    // Only as a copy of the same type.
    const auto wanted = static_cast<Value>(expected);
    if constexpr (std::is_integral_v<Value> && !std::is_same_v<Value, Expected>) {
        // 1.5 expected of an int, -1 of an unsigned, 2 of a bool
        const bool fits = static_cast<Expected>(wanted) == expected && (wanted < Value{}) == (expected < Expected{});
        if (!fits) return to_string(FieldDifference{{}, describe(expected), describe(found)});
    }
    if constexpr (!std::is_same_v<Value, Found>) return compare_values(Value(found), wanted);
    else if constexpr (Describable<Found>) {
        std::string text;
        for (const auto& difference : differences(fields_of(wanted), fields_of(found))) {
            text.append(text.empty() ? "" : "\n").append(to_string(difference));
        }
        return text;
    } else {
        static_assert(
            std::equality_comparable<Found>,
            "escqrs: this type cannot be compared; give it an operator==, or a serialize to see where it differs");
        if (wanted == found) return {};
        return "found another " + short_name<Found>() +
               " than expected; with a serialize it would show where it differs";
    }
}

} // namespace escqrs::inline v0::testing::detail
