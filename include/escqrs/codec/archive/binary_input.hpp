// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/codec/archive/detail/binary_errors.hpp>
#include <escqrs/codec/archive/detail/binary_layout.hpp>
#include <escqrs/codec/archive/detail/enum_range.hpp>
#include <escqrs/codec/archive/operators.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace escqrs::inline v0::archive {

/// Reads what `BinaryOutput` wrote. Models the Loading Archive concept of Boost.Serialization.
///
/// The bytes may come from anyone: whatever they are, reading yields a value or a `CodecError`, touches no byte outside
/// them, and takes memory in proportion to their number. After an error the object is half filled. Texts and containers
/// in it lose what they held; a text keeps its memory.
/// @par Thread safety  one thread at a time
class BinaryInput : public detail::InputOperators<BinaryInput> {
public:
    /// @param bytes  must outlive the archive
    explicit BinaryInput(std::span<const std::byte> bytes) noexcept
        : begin_{bytes.data()}, cursor_{begin_}, end_{begin_ + bytes.size()}
    {
    }

    /// Reads an event or another whole value. Its `serialize`, and those of classes nested in it, receive
    /// `schema_version`, the version that the bytes were written with.
    /// @throws CodecError if the bytes are not such a value; the text says what was expected and where
    template <class T>
    void root(T& value, unsigned schema_version)
    {
        schema_version_ = schema_version;
        read(value);
    }

    /// @throws CodecError if bytes are left
    void finish() const
    {
        if (cursor_ != end_) detail::fail_trailing(place());
    }

    /// Reads `length` bytes that `save_binary` wrote.
    void load_binary(void* to, std::size_t length)
    {
        const std::byte* const from = take(length, "raw bytes");
        if (length != 0) std::memcpy(to, from, length);
    }

private:
    friend class detail::InputOperators<BinaryInput>;

    template <class T>
    [[gnu::always_inline]] void accept(T& value)
    {
        constexpr detail::Kind kind = detail::kind_of<BinaryInput, std::remove_const_t<T>>();
        if constexpr (kind == detail::Kind::named) accept(value.value());
        else if constexpr (kind == detail::Kind::text) read_text(value);
        else read(value);
    }

    template <class T>
    void read(T& value);
    template <class T>
    void read_text(T& text);
    template <class E>
    void read_enum_name(E& value);

    std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - cursor_); }

    const std::byte* take(std::size_t length, const char* what)
    {
        if (left() < length) [[unlikely]]
            detail::fail_short(place(), length, what);
        return std::exchange(cursor_, cursor_ + length);
    }

    template <class T>
    T read_little_endian(const char* what)
    {
        return detail::load_little_endian<T>(take(sizeof(T), what));
    }

    bool read_boolean()
    {
        const auto byte = static_cast<unsigned>(*take(1, "a boolean"));
        if (byte > 1) [[unlikely]]
            detail::fail_value(place(), "a boolean byte of 0 or 1", byte);
        return byte == 1;
    }

    std::uint64_t read_varint()
    {
        if (cursor_ != end_ && *cursor_ < std::byte{0x80}) [[likely]]
            return static_cast<std::uint64_t>(*cursor_++);
        const auto [value, next] = read_long_varint(begin_, cursor_, end_);
        cursor_ = next;
        return value;
    }

    /// An archive in the given state; making it here keeps the address of the archive itself unused (see
    /// binary_errors.hpp).
    [[gnu::noinline]] static std::pair<std::uint64_t, const std::byte*>
    read_long_varint(const std::byte* begin, const std::byte* cursor, const std::byte* end)
    {
        BinaryInput from{{begin, end}};
        from.cursor_ = cursor;
        std::uint64_t value = 0;
        for (unsigned shift = 0;; shift += 7) {
            const auto byte = static_cast<std::uint64_t>(*from.take(1, "a length"));
            if (shift == 63 && byte > 1) detail::fail_value(from.place(), "a length of 64 bits", byte);
            value |= (byte & 0x7FU) << shift;
            if (byte < 0x80U) {
                if (byte == 0 && shift != 0) detail::fail_value(from.place(), "a length in its shortest form", byte);
                return {value, from.cursor_};
            }
        }
    }

    /// Reads the number of elements that each take at least `min_size` bytes, and refuses more than the bytes can hold.
    std::size_t read_count(std::size_t min_size, const char* what)
    {
        const std::uint64_t count = read_varint();
        const std::size_t most = min_size != 0 ? left() / min_size : (left() + empty_elements_left_);
        if (count > most) [[unlikely]]
            detail::fail_count(place(), count, what);
        return static_cast<std::size_t>(count);
    }

    template <class T>
    void read_object(T& object)
    {
        if (++depth_ > detail::max_depth) [[unlikely]]
            detail::fail_depth(place());
        detail::serialize_object(*this, object, schema_version_);
        --depth_;
    }

    template <class T>
    void read_element(T& element)
    {
        if constexpr (detail::min_encoded_size<BinaryInput, T>() != 0) read(element);
        else {
            const std::byte* const before = cursor_;
            read(element);
            if (cursor_ == before && empty_elements_left_-- == 0) detail::fail_empty_elements(place());
        }
    }

    template <class T>
    void read_sequence(T& sequence);
    template <class T>
    void read_set(T& set);
    template <class T>
    void read_map(T& map);
    template <class T>
    void read_array(T& array);
    template <class T>
    void read_variant(T& variant);
    template <class Count>
    Count read_ticks();

    detail::ReadingPlace place() const noexcept { return {static_cast<std::size_t>(cursor_ - begin_), left()}; }

    const std::byte* begin_;
    const std::byte* cursor_;
    const std::byte* end_;
    unsigned schema_version_ = 0;
    unsigned depth_ = 0;
    std::size_t empty_elements_left_ = detail::max_empty_elements;
};

template <class T>
void BinaryInput::read(T& value)
{
    using detail::Kind;
    using Value = std::remove_const_t<T>;
    detail::require_supported<BinaryInput, Value>();
    constexpr Kind kind = detail::kind_of<BinaryInput, Value>();
    if constexpr (kind == Kind::boolean) value = read_boolean();
    else if constexpr (kind == Kind::integer) value = read_little_endian<T>("an integer");
    else if constexpr (kind == Kind::floating) value = read_little_endian<T>("a number");
    else if constexpr (kind == Kind::enumeration) {
        std::underlying_type_t<T> number{};
        read(number);
        if (!detail::can_hold<T>(number)) [[unlikely]]
            detail::fail_at(place(), detail::not_held_text<T>(number));
        value = static_cast<T>(number);
    } else if constexpr (kind == Kind::enum_name) read_enum_name(value);
    else if constexpr (kind == Kind::uuid) std::memcpy(value.begin(), take(16, "a UUID"), 16);
    else if constexpr (kind == Kind::named) accept(value.value());
    else if constexpr (kind == Kind::object) read_object(value);
    else if constexpr (kind == Kind::text) read_text(value);
    else if constexpr (kind == Kind::bytes) {
        if constexpr (detail::SequenceLike<T>) {
            const std::size_t length = read_count(1, "a byte sequence");
            value.assign(cursor_, cursor_ + length);
            cursor_ += length;
        } else load_binary(value.data(), value.size());
    } else if constexpr (kind == Kind::sequence) read_sequence(value);
    else if constexpr (kind == Kind::set) read_set(value);
    else if constexpr (kind == Kind::map) read_map(value);
    else if constexpr (kind == Kind::array) read_array(value);
    else if constexpr (kind == Kind::tuple) {
        detail::for_each_element(value, [&](auto& element) { read(element); });
    } else if constexpr (kind == Kind::optional) {
        value.reset();
        if (read_boolean()) read(value.emplace());
    } else if constexpr (kind == Kind::variant) read_variant(value);
    else if constexpr (kind == Kind::duration) value = T{read_ticks<typename T::rep>()};
    else if constexpr (kind == Kind::time_point) value = T{typename T::duration{read_ticks<typename T::rep>()}};
}

/// Always inline, because two calls in one `serialize` are enough for g++ to make it a function that takes the address.
template <class T>
[[gnu::always_inline]] inline void BinaryInput::read_text(T& text)
{
    const std::uint64_t length = read_varint();
    if (length > left()) [[unlikely]]
        detail::fail_short(place(), length, "a text");
    text.assign(reinterpret_cast<const char*>(cursor_), static_cast<std::size_t>(length)); // NOLINT: char aliases
    cursor_ += length;
}

template <class E>
void BinaryInput::read_enum_name(E& value)
{
    const std::uint64_t length = read_varint();
    if (length > left()) [[unlikely]]
        detail::fail_short(place(), length, "the name of an enumeration's value");
    const std::string_view name{reinterpret_cast<const char*>(cursor_), static_cast<std::size_t>(length)}; // NOLINT
    if (!detail::EnumNames<E>::find(name, value)) [[unlikely]]
        detail::fail_at(place(), detail::EnumNames<E>::unknown_name_text(name));
    cursor_ += length;
}

template <class T>
void BinaryInput::read_sequence(T& sequence)
{
    using Element = typename T::value_type;
    const std::size_t count = read_count(detail::min_encoded_size<BinaryInput, Element>(), "a sequence");
    if constexpr (detail::CopiedWhole<T>) {
        sequence.resize(count);
        load_binary(sequence.data(), count * sizeof(Element));
    } else {
        sequence.clear();
        if constexpr (requires { sequence.reserve(count); }) {
            // The count is only a claim; the memory reserved for it stays in proportion to the bytes that are there.
            const std::size_t trusted = 4 * left() / sizeof(Element) + 1;
            sequence.reserve(count < trusted ? count : trusted);
        }
        for (std::size_t index = 0; index < count; ++index) {
            if constexpr (std::same_as<Element, bool>) sequence.push_back(read_boolean());
            else read_element(sequence.emplace_back());
        }
    }
}

template <class T>
void BinaryInput::read_set(T& set)
{
    using Key = typename T::key_type;
    const std::size_t count = read_count(detail::min_encoded_size<BinaryInput, Key>(), "a set");
    set.clear();
    for (std::size_t index = 0; index < count; ++index) {
        Key key{};
        read_element(key);
        set.emplace_hint(set.end(), std::move(key));
        if (set.size() != index + 1) detail::fail_at(place(), "expected distinct elements of a set, found one twice,");
    }
}

template <class T>
void BinaryInput::read_map(T& map)
{
    using Key = typename T::key_type;
    const std::size_t count = read_count(detail::min_encoded_size<BinaryInput, Key>(), "a map");
    map.clear();
    for (std::size_t index = 0; index < count; ++index) {
        Key key{};
        typename T::mapped_type value{};
        read(key);
        read_element(value);
        map.emplace_hint(map.end(), std::move(key), std::move(value));
        if (map.size() != index + 1) detail::fail_at(place(), "expected distinct keys of a map, found one twice,");
    }
}

template <class T>
void BinaryInput::read_array(T& array)
{
    if constexpr (detail::CopiedWhole<T>) {
        load_binary(std::data(array), std::size(array) * sizeof *std::data(array));
    } else {
        for (auto& element : array) read_element(element);
    }
}

template <class T>
void BinaryInput::read_variant(T& variant)
{
    constexpr std::size_t alternatives = detail::Alternatives<T>::count;
    const std::uint64_t index = read_varint();
    if (index >= alternatives) detail::fail_value(place(), "the number of a variant's alternative", index);
    detail::emplace_alternative(variant, static_cast<std::size_t>(index),
                                [&](auto& alternative) { read(alternative); });
}

template <class Count>
Count BinaryInput::read_ticks()
{
    if constexpr (std::is_floating_point_v<Count>) {
        return static_cast<Count>(read_little_endian<double>("a duration"));
    } else {
        const auto ticks = read_little_endian<std::int64_t>("a duration");
        const auto count = static_cast<Count>(ticks);
        if (static_cast<std::int64_t>(count) != ticks || (ticks < 0) != (count < Count{})) {
            detail::fail_at(place(), "expected a duration that fits its type, found " + std::to_string(ticks));
        }
        return count;
    }
}

} // namespace escqrs::inline v0::archive
