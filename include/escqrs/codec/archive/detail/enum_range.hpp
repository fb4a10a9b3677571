// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/error.hpp>

#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace escqrs::inline v0::archive::detail {

/// An enumeration with a fixed underlying type holds every value of that type; another one only those that fit into as
/// many bits as its enumerators need ([dcl.enum]), and any other value is undefined behaviour.
template <class E>
concept FixedEnum = requires { E{std::underlying_type_t<E>{}}; };

template <class Number>
struct NumberRange {
    Number least = 0;
    Number most = 0;

    constexpr void include(Number number) noexcept
    {
        if (number < least) least = number;
        if (number > most) most = number;
    }
};

/// The values as the compiler names them: "... {ns::red, (ns::Light)1, ...}" (GCC) or "... <ns::red, ...>" (Clang),
/// where an enumerator has no number.
template <auto... Values>
constexpr const char* names_of_values() noexcept
{
    return __PRETTY_FUNCTION__;
}

/// Finds the enumerators among the values of a text by `names_of_values`.
template <class Number, std::size_t Count>
consteval NumberRange<Number> range_of_named(const char* names, const Number (&values)[Count])
{
    NumberRange<Number> range;
    const char* at = names + std::string_view{names}.find("Values = ") + 10;
    for (const Number value : values) {
        bool is_named = true;
        for (int depth = 0; depth > 0 || (*at != ',' && *at != '}' && *at != '>'); ++at) {
            if (*at == '(' || *at == '<' || *at == '{') ++depth;
            if (*at == ')' || *at == '>' || *at == '}') --depth;
            if (*at == ')' && (at[1] == '-' || (at[1] >= '0' && at[1] <= '9'))) is_named = false;
        }
        at += 2; // ", "
        if (is_named) range.include(value);
    }
    return range;
}

#pragma GCC diagnostic push // the values are only named, never used
#pragma GCC diagnostic ignored "-Wconversion"
#ifdef __clang__
#pragma GCC diagnostic ignored "-Wenum-constexpr-conversion"
#endif

template <class E, std::underlying_type_t<E>... Values>
inline constexpr auto range_of_enumerators =
    range_of_named<std::underlying_type_t<E>>(names_of_values<static_cast<E>(Values)...>(), {Values...});

#pragma GCC diagnostic pop

inline constexpr std::size_t values_at_once = 64; // compilers limit the steps of one constant expression
inline constexpr std::size_t values_looked_at = 26 * values_at_once;

/// Where enumerators are looked for: from -256 to 1023, and next to the powers of two.
template <class Number>
consteval Number place_of_enumerator(std::size_t index)
{
    constexpr std::size_t small = 1280;
    if (index < small) {
        if constexpr (std::is_signed_v<Number>) return static_cast<Number>(static_cast<int>(index) - 256);
        else return static_cast<Number>(index);
    }
    const std::size_t bit = (index - small) / 6;
    if (bit >= static_cast<std::size_t>(std::numeric_limits<Number>::digits)) return 0;
    const auto power = static_cast<Number>(Number{1} << bit);
    switch ((index - small) % 6) {
    case 0: return power;
    case 1: return static_cast<Number>(power - 1);
    case 2: return static_cast<Number>(power + (bit > 1 ? 1 : 0));
    case 3: return std::is_signed_v<Number> ? static_cast<Number>(-power) : Number{0};
    case 4: return std::is_signed_v<Number> ? static_cast<Number>(-power - 1) : Number{0};
    default: return std::is_signed_v<Number> ? static_cast<Number>(-power + 1) : Number{0};
    }
}

template <class E, std::size_t Chunk, std::size_t... Index>
consteval auto range_in_chunk(std::index_sequence<Index...>)
{
    return range_of_enumerators<E, place_of_enumerator<std::underlying_type_t<E>>(Chunk * values_at_once + Index)...>;
}

template <class E, std::size_t... Chunk>
consteval auto range_in_chunks(std::index_sequence<Chunk...>)
{
    NumberRange<std::underlying_type_t<E>> range;
    const auto include = [&](auto found) {
        range.include(found.least);
        range.include(found.most);
    };
    (include(range_in_chunk<E, Chunk>(std::make_index_sequence<values_at_once>{})), ...);
    return range;
}

/// The values that `E` can hold.
template <class E>
consteval auto range_of_enum()
{
    using Number = std::underlying_type_t<E>;
    if constexpr (FixedEnum<E>) {
        return NumberRange<Number>{std::numeric_limits<Number>::min(), std::numeric_limits<Number>::max()};
    } else {
        const auto found = range_in_chunks<E>(std::make_index_sequence<values_looked_at / values_at_once>{});
        NumberRange<Number> range;
        while (range.most < found.most || (found.least < 0 && range.most < -(found.least + 1)))
            range.most = static_cast<Number>(range.most * 2 + 1);
        if (found.least < 0) range.least = static_cast<Number>(-range.most - 1);
        return range;
    }
}

template <class E>
bool can_hold(std::underlying_type_t<E> number) noexcept
{
    if constexpr (FixedEnum<E>) return true;
    else {
        constexpr auto range = range_of_enum<E>();
        return number >= range.least && number <= range.most;
    }
}

/// Says which value `E` cannot hold, and what to do about it.
template <class E>
std::string not_held_text(std::underlying_type_t<E> number)
{
    constexpr auto range = range_of_enum<E>();
    return "expected a value of an enumeration, from " + std::to_string(range.least) + " to " +
           std::to_string(range.most) + ", found " + std::to_string(number) +
           " (an enumeration with a fixed underlying type holds them all)";
}

/// The number as which a value is stored.
/// @throws CodecError if it could not be read again
template <class E>
std::underlying_type_t<E> number_of(E value)
{
    const auto number = static_cast<std::underlying_type_t<E>>(value);
    if (!can_hold<E>(number)) throw CodecError{"cannot be stored: " + not_held_text<E>(number)};
    return number;
}

} // namespace escqrs::inline v0::archive::detail
