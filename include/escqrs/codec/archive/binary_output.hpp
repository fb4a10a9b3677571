// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/codec/archive/detail/binary_layout.hpp>
#include <escqrs/codec/archive/detail/byte_sink.hpp>
#include <escqrs/codec/archive/detail/enum_range.hpp>
#include <escqrs/codec/archive/json_time.hpp>
#include <escqrs/codec/archive/operators.hpp>
#include <escqrs/core/error.hpp>
#include <escqrs/core/text.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace escqrs::inline v0::archive {

/// Writes values in the binary format (see `Binary`). Models the Saving Archive concept of Boost.Serialization.
///
/// The bytes are in the vector when `root` returns, or when the archive is destroyed. If an error is thrown, the vector
/// ends in bytes that the caller must drop.
/// @par Thread safety  one thread at a time
class BinaryOutput : public detail::OutputOperators<BinaryOutput> {
public:
    /// Appends to `out`, which must outlive the archive and not be touched while a value is being written.
    explicit BinaryOutput(std::vector<std::byte>& out) noexcept : sink_{out} {}

    /// From here on also refuses values that JSON cannot express, which this format could hold: text that is not UTF-8,
    /// numbers that are not finite, times outside the years 0 to 9999, classes and containers nested more than 64 deep.
    void require_json_values() noexcept { json_values_only_ = true; }

    /// Writes an event or another whole value. Its `serialize`, and those of classes nested in it, receive
    /// `schema_version`.
    /// @throws CodecError if the format cannot express a value; the text says why
    template <class T>
    void root(const T& value, unsigned schema_version)
    {
        schema_version_ = schema_version;
        write(value);
        sink_.commit();
    }

    /// Writes `length` bytes as they are; the reader must know the length.
    void save_binary(const void* bytes, std::size_t length) { sink_.append_again(bytes, length); }

private:
    friend class detail::OutputOperators<BinaryOutput>;

    template <class T>
    void accept(const T& value)
    {
        write(value);
    }

    template <class T>
    void write(const T& value);

    template <class T>
    void write_little_endian(T value)
    {
        detail::store_little_endian(sink_.room_for(sizeof value), value);
        sink_.wrote(sizeof value);
    }

    void write_count(std::uint64_t count)
    {
        std::byte* const from = sink_.room_for(detail::max_varint_length);
        sink_.wrote(static_cast<std::size_t>(detail::store_varint(from, count) - from));
    }

    void write_sized(const void* bytes, std::size_t length)
    {
        std::byte* const from = sink_.room_for(detail::max_varint_length + length);
        std::byte* const to = detail::store_varint(from, length);
        if (length != 0) std::memcpy(to, bytes, length);
        sink_.wrote(static_cast<std::size_t>(to - from) + length);
    }

    template <class T>
    void write_object(const T& object)
    {
        if (++depth_ > detail::max_depth) fail_depth();
        enter();
        // One serialize serves both ways, as in Boost, so it cannot be const.
        detail::serialize_object(*this, const_cast<T&>(object), schema_version_); // NOLINT
        leave();
        --depth_;
    }

    template <class T>
    void write_elements(const T& container);

    template <class T>
    void write_element(const T& element)
    {
        if constexpr (detail::min_encoded_size<BinaryOutput, T>() != 0) write(element);
        else {
            const std::size_t before = sink_.size();
            write(element);
            if (sink_.size() == before && ++empty_elements_ > detail::max_empty_elements) fail_empty_elements();
        }
    }

    template <class Count>
    void write_ticks(Count count);

    /// Counts what JSON writes as arrays and objects.
    void enter(unsigned levels = 1)
    {
        json_depth_ += levels;
        if (json_values_only_ && json_depth_ > detail::max_depth) [[unlikely]]
            fail_value("classes and containers are nested more than 64 deep");
    }
    void leave(unsigned levels = 1) noexcept { json_depth_ -= levels; }

    void require_utf8(std::string_view text) const
    {
        if (json_values_only_ && !detail::is_ascii(text)) [[unlikely]]
            require_valid(text);
    }

    [[gnu::cold, gnu::noinline]] void require_valid(std::string_view text) const
    {
        const std::size_t valid = detail::valid_utf8_length(text);
        if (valid == text.size()) return;
        fail_value("the text is not valid UTF-8 at its byte " + std::to_string(valid) +
                   "; bytes that are no text belong in a std::vector<std::byte>");
    }

    template <class T>
    void require_finite(T value) const
    {
        // std::isfinite would bring in all of <cmath>.
        const bool is_finite = value >= std::numeric_limits<T>::lowest() && value <= std::numeric_limits<T>::max();
        if (json_values_only_ && !is_finite) [[unlikely]]
            fail_value("the number is not finite");
    }

    template <class T>
    void require_json_time(const T& time) const
    {
        if constexpr (std::is_integral_v<typename T::rep> && detail::has_decimal_ticks<T>) {
            if (json_values_only_ && !detail::split_time(time)) [[unlikely]]
                fail_value("the time is outside the years 0 to 9999");
        }
    }

    [[noreturn, gnu::cold, gnu::noinline]] void fail_value(std::string_view why) const
    {
        fail_in_field(std::string{why} + ", so it could not be sent as JSON");
    }

    [[noreturn, gnu::cold, gnu::noinline]] void fail_in_field(const std::string& why) const
    {
        throw CodecError{"binary archive: cannot write" +
                         (field_ == nullptr ? std::string{} : " in '" + std::string{field_} + "'") + ": " + why};
    }

    [[noreturn, gnu::cold, gnu::noinline]] static void fail_depth()
    {
        throw CodecError{"binary archive: cannot write: classes are nested more than " +
                         std::to_string(detail::max_depth) + " deep"};
    }

    [[noreturn, gnu::cold, gnu::noinline]] static void fail_empty_elements()
    {
        throw CodecError{"binary archive: cannot write: more than " + std::to_string(detail::max_empty_elements) +
                         " elements that take no bytes"};
    }

    [[noreturn, gnu::cold, gnu::noinline]] static void fail(const char* why)
    {
        throw CodecError{std::string{"binary archive: cannot write: "} + why};
    }

    detail::ByteSink sink_;
    unsigned schema_version_ = 0;
    unsigned depth_ = 0;
    unsigned json_depth_ = 0;
    bool json_values_only_ = false;
    /// The innermost named field that is being written.
    const char* field_ = nullptr;
    std::size_t empty_elements_ = 0;
};

template <class T>
void BinaryOutput::write(const T& value)
{
    using detail::Kind;
    detail::require_supported<BinaryOutput, T>();
    constexpr Kind kind = detail::kind_of<BinaryOutput, T>();
    if constexpr (kind == Kind::boolean) write_little_endian(static_cast<std::uint8_t>(value ? 1 : 0));
    else if constexpr (kind == Kind::integer) write_little_endian(value);
    else if constexpr (kind == Kind::floating) {
        require_finite(value);
        write_little_endian(value);
    } else if constexpr (kind == Kind::enumeration) write(detail::number_of(value));
    else if constexpr (kind == Kind::enum_name) {
        const std::string_view name = detail::EnumNames<T>::name_of(value);
        if (name.empty()) fail_in_field(detail::EnumNames<T>::unnamed_text(value));
        write_sized(name.data(), name.size());
    } else if constexpr (kind == Kind::uuid) sink_.append(value.begin(), 16);
    else if constexpr (kind == Kind::named) {
        const char* const outer = std::exchange(field_, value.name());
        write(std::as_const(value.value()));
        field_ = outer;
    } else if constexpr (kind == Kind::object) write_object(value);
    else if constexpr (kind == Kind::text) {
        require_utf8({value.data(), value.size()});
        write_sized(value.data(), value.size());
    } else if constexpr (kind == Kind::bytes) {
        if constexpr (detail::SequenceLike<T>) write_sized(value.data(), value.size());
        else sink_.append(value.data(), value.size());
    } else if constexpr (kind == Kind::sequence || kind == Kind::set || kind == Kind::map) {
        write_count(value.size());
        write_elements(value);
    } else if constexpr (kind == Kind::array) write_elements(value);
    else if constexpr (kind == Kind::tuple) {
        enter();
        detail::for_each_element(value, [&](const auto& element) { write(element); });
        leave();
    } else if constexpr (kind == Kind::optional) {
        write(value.has_value());
        if (value.has_value()) write(*value);
    } else if constexpr (kind == Kind::variant) {
        if (value.valueless_by_exception()) fail("the variant is valueless");
        write_count(value.index());
        enter();
        detail::visit_alternative(value, [&](const auto& alternative) { write(alternative); });
        leave();
    } else if constexpr (kind == Kind::duration) write_ticks(value.count());
    else if constexpr (kind == Kind::time_point) {
        require_json_time(value);
        write_ticks(value.time_since_epoch().count());
    }
}

template <class T>
void BinaryOutput::write_elements(const T& container)
{
    if constexpr (detail::CopiedWhole<T>) {
        enter();
        leave(); // numbers hold nothing
        const auto* first = std::data(container);
        if constexpr (std::is_floating_point_v<std::remove_cvref_t<decltype(*first)>>) {
            for (const auto element : container) require_finite(element);
        }
        sink_.append(first, std::size(container) * sizeof *first);
    } else if constexpr (detail::MapLike<T>) {
        const unsigned levels = detail::json_object_like<BinaryOutput, T> ? 1 : 2; // an array of [key, value]
        enter(levels);
        for (const auto& [key, value] : container) {
            write(key);
            write_element(value);
        }
        leave(levels);
    } else {
        enter();
        for (auto&& element : container) {
            if constexpr (requires { typename T::value_type; }) write_element<typename T::value_type>(element);
            else write_element(element);
        }
        leave();
    }
}

template <class Count>
void BinaryOutput::write_ticks(Count count)
{
    if constexpr (std::is_floating_point_v<Count>) {
        static_assert(sizeof(Count) <= sizeof(double), "escqrs: a duration counted in long double cannot be stored");
        require_finite(count);
        write_little_endian(static_cast<double>(count));
    } else {
        static_assert(std::is_integral_v<Count>, "escqrs: a duration must count in integers or floating-point numbers");
        const auto ticks = static_cast<std::int64_t>(count);
        if (static_cast<Count>(ticks) != count || (ticks < 0) != (count < Count{}))
            fail("the duration exceeds 64 bits");
        write_little_endian(ticks);
    }
}

} // namespace escqrs::inline v0::archive
