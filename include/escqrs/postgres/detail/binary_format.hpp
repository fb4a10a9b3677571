// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/identifiers.hpp>
#include <escqrs/core/timestamp.hpp>

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace escqrs::inline v0::postgres::detail {

using ByteView = std::span<const std::byte>;

/// A type's number in `pg_type`; those of built-in types never change.
using TypeId = std::uint32_t;
namespace type_id {
inline constexpr TypeId boolean = 16;
inline constexpr TypeId bytes = 17;
inline constexpr TypeId int8 = 20;
inline constexpr TypeId int2 = 21;
inline constexpr TypeId int4 = 23;
inline constexpr TypeId text = 25;
inline constexpr TypeId float8 = 701;
inline constexpr TypeId timestamp = 1184; ///< with time zone
inline constexpr TypeId uuid = 2950;
} // namespace type_id

/// The type of an array of `element`.
constexpr TypeId array_of(TypeId element) noexcept
{
    switch (element) {
    case type_id::bytes: return 1001;
    case type_id::int4: return 1007;
    case type_id::text: return 1009;
    case type_id::int8: return 1016;
    case type_id::uuid: return 2951;
    default: return 0;
    }
}

/// Moments are microseconds since the beginning of 2000.
inline constexpr std::int64_t epoch_offset = 946'684'800'000'000;

template <std::integral Number>
void put_number(std::vector<std::byte>& out, Number number)
{
    using Bits = std::make_unsigned_t<Number>;
    const auto bits = static_cast<Bits>(number);
    for (std::size_t shift = sizeof(Bits) * 8; shift > 0;) {
        shift -= 8;
        out.push_back(static_cast<std::byte>(bits >> shift & 0xFFU));
    }
}

/// Reads a big-endian number from exactly its bytes.
template <std::integral Number>
Number number_from(ByteView bytes) noexcept
{
    using Bits = std::make_unsigned_t<Number>;
    Bits bits = 0;
    for (std::size_t index = 0; index < sizeof(Bits); ++index) {
        bits = static_cast<Bits>(sizeof(Bits) > 1 ? bits << 8U : 0) | std::to_integer<Bits>(bytes[index]);
    }
    return static_cast<Number>(bits);
}

inline std::int64_t to_postgres(Timestamp time) noexcept { return time.time_since_epoch().count() - epoch_offset; }
inline Timestamp from_postgres(std::int64_t time) noexcept { return Timestamp{Duration{time + epoch_offset}}; }

/// How a C++ value is sent: its type, and its bytes.
inline void put_value(std::vector<std::byte>& out, ByteView bytes)
{
    out.insert(out.end(), bytes.begin(), bytes.end());
}
inline void put_value(std::vector<std::byte>& out, std::string_view text)
{
    put_value(out, std::as_bytes(std::span{text}));
}
inline void put_value(std::vector<std::byte>& out, const Uuid& uuid)
{
    put_value(out, std::as_bytes(std::span{uuid.data}));
}
template <class Tag>
void put_value(std::vector<std::byte>& out, const Id<Tag>& id)
{
    put_value(out, id.value());
}
inline void put_value(std::vector<std::byte>& out, Timestamp time) { put_number(out, to_postgres(time)); }
template <std::integral Number>
void put_value(std::vector<std::byte>& out, Number number)
{
    if constexpr (std::same_as<Number, bool>) put_number(out, static_cast<std::uint8_t>(number));
    else put_number(out, static_cast<std::int64_t>(number));
}
template <std::floating_point Number>
void put_value(std::vector<std::byte>& out, Number number)
{
    put_number(out, std::bit_cast<std::int64_t>(static_cast<double>(number)));
}

constexpr TypeId type_of(ByteView) noexcept { return type_id::bytes; }
constexpr TypeId type_of(std::string_view) noexcept { return type_id::text; }
constexpr TypeId type_of(const Uuid&) noexcept { return type_id::uuid; }
template <class Tag>
constexpr TypeId type_of(const Id<Tag>&) noexcept
{
    return type_id::uuid;
}
constexpr TypeId type_of(Timestamp) noexcept { return type_id::timestamp; }
template <std::integral Number>
constexpr TypeId type_of(Number) noexcept
{
    return std::same_as<Number, bool> ? type_id::boolean : type_id::int8;
}
template <std::floating_point Number>
constexpr TypeId type_of(Number) noexcept
{
    return type_id::float8;
}

/// A one-dimensional array, built element by element.
class ArrayValue {
public:
    explicit ArrayValue(TypeId element) : element_{element} { clear(); }

    void clear()
    {
        size_ = 0;
        bytes_.clear();
        put_number(bytes_, std::int32_t{1}); // dimensions
        put_number(bytes_, std::int32_t{0}); // no nulls
        put_number(bytes_, element_);
        put_number(bytes_, std::int32_t{0}); // elements
        put_number(bytes_, std::int32_t{1}); // index of the first
    }

    /// Adds an element of exactly this array's type: a number of four bytes to one of `int4`.
    void push(std::int32_t number)
    {
        put_number(bytes_, std::int32_t{4});
        put_number(bytes_, number);
        count();
    }
    void push(std::int64_t number)
    {
        put_number(bytes_, std::int32_t{8});
        put_number(bytes_, number);
        count();
    }
    void push(const Uuid& uuid) { push(std::as_bytes(std::span{uuid.data})); }
    void push(std::string_view text) { push(std::as_bytes(std::span{text})); }
    void push(ByteView bytes)
    {
        put_number(bytes_, static_cast<std::int32_t>(bytes.size()));
        bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
        count();
    }

    std::size_t size() const noexcept { return size_; }
    TypeId type() const noexcept { return array_of(element_); }
    ByteView bytes() const noexcept { return bytes_; }

private:
    void count()
    {
        ++size_;
        for (std::size_t index = 0; index < 4; ++index) {
            bytes_[12 + index] = static_cast<std::byte>(size_ >> (24 - 8 * index) & 0xFFU);
        }
    }

    TypeId element_;
    std::size_t size_ = 0;
    std::vector<std::byte> bytes_;
};

/// Reads a one-dimensional array of whole numbers; NULLs read as 0.
/// @return false if `bytes` are anything else
inline bool read_array(ByteView bytes, std::vector<std::int64_t>& numbers)
{
    constexpr std::size_t header = 12;
    constexpr std::size_t dimension = 8;
    if (bytes.size() < header) return false;
    const auto dimensions = number_from<std::int32_t>(bytes);
    const auto element = number_from<TypeId>(bytes.subspan(8));
    if (dimensions == 0) return true;
    if (dimensions != 1 || bytes.size() < header + dimension) return false;
    if (element != type_id::int8 && element != type_id::int4) return false;
    auto left = number_from<std::int32_t>(bytes.subspan(header));
    bytes = bytes.subspan(header + dimension);
    for (; left > 0; --left) {
        if (bytes.size() < 4) return false;
        const auto size = number_from<std::int32_t>(bytes);
        bytes = bytes.subspan(4);
        if (size < 0) {
            numbers.push_back(0);
            continue;
        }
        if (size != (element == type_id::int8 ? 8 : 4) || bytes.size() < static_cast<std::size_t>(size)) return false;
        numbers.push_back(element == type_id::int8 ? number_from<std::int64_t>(bytes)
                                                   : number_from<std::int32_t>(bytes));
        bytes = bytes.subspan(static_cast<std::size_t>(size));
    }
    return bytes.empty();
}

inline void put_value(std::vector<std::byte>& out, const ArrayValue& array) { put_value(out, array.bytes()); }
inline TypeId type_of(const ArrayValue& array) noexcept { return array.type(); }

} // namespace escqrs::inline v0::postgres::detail
