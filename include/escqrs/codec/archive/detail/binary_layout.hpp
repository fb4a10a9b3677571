// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/codec/archive/kind.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

namespace escqrs::inline v0::archive::detail {

/// How many elements of a payload may take no bytes at all, such as those of a vector of empty structs.
inline constexpr std::size_t max_empty_elements = 65536;

/// A LEB128 number of 64 bits takes at most this many bytes.
inline constexpr std::size_t max_varint_length = 10;

/// Writes `value` as little-endian bytes.
template <class T>
void store_little_endian(std::byte* to, T value) noexcept
{
    if constexpr (std::endian::native == std::endian::little || sizeof(T) == 1) {
        std::memcpy(to, &value, sizeof value);
    } else {
        std::byte bytes[sizeof(T)];
        std::memcpy(bytes, &value, sizeof value);
        for (std::size_t at = 0; at < sizeof(T); ++at) to[at] = bytes[sizeof(T) - 1 - at];
    }
}

/// Reads `sizeof(T)` little-endian bytes.
template <class T>
T load_little_endian(const std::byte* from) noexcept
{
    T value;
    if constexpr (std::endian::native == std::endian::little || sizeof(T) == 1) {
        std::memcpy(&value, from, sizeof value);
    } else {
        std::byte bytes[sizeof(T)];
        for (std::size_t at = 0; at < sizeof(T); ++at) bytes[at] = from[sizeof(T) - 1 - at];
        std::memcpy(&value, bytes, sizeof value);
    }
    return value;
}

/// Writes `value` as LEB128, which needs room for `max_varint_length` bytes, and returns the place after it.
inline std::byte* store_varint(std::byte* to, std::uint64_t value) noexcept
{
    while (value >= 0x80U) {
        *to++ = static_cast<std::byte>(value | 0x80U);
        value >>= 7U;
    }
    *to++ = static_cast<std::byte>(value);
    return to;
}

/// A container whose elements are laid out in memory as they are encoded.
template <class T>
concept CopiedWhole = (std::is_array_v<T> || ContiguousLike<T>)&&requires(T& container) {
    requires std::is_arithmetic_v<std::remove_cvref_t<decltype(*std::begin(container))>>;
    requires !std::same_as<std::remove_cvref_t<decltype(*std::begin(container))>, bool>;
    requires sizeof(*std::begin(container)) <= 8;
    requires std::endian::native == std::endian::little || sizeof(*std::begin(container)) == 1;
};

/// Fewest bytes that a value of the type is encoded in; 0 if that depends on what a `serialize` does.
template <class Archive, class T>
consteval std::size_t min_encoded_size()
{
    constexpr Kind kind = kind_of<Archive, T>();
    if constexpr (kind == Kind::boolean || kind == Kind::integer || kind == Kind::floating ||
                  kind == Kind::enumeration) {
        return sizeof(T);
    } else if constexpr (kind == Kind::uuid) return 16;
    else if constexpr (kind == Kind::duration || kind == Kind::time_point) return 8;
    else if constexpr (kind == Kind::text || kind == Kind::sequence || kind == Kind::set || kind == Kind::map ||
                       kind == Kind::optional || kind == Kind::variant || kind == Kind::enum_name) {
        return 1;
    } else return 0;
}

} // namespace escqrs::inline v0::archive::detail
