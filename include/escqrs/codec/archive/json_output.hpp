// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/codec/archive/detail/byte_sink.hpp>
#include <escqrs/codec/archive/detail/enum_range.hpp>
#include <escqrs/codec/archive/detail/json_scope.hpp>
#include <escqrs/codec/archive/json_time.hpp>
#include <escqrs/codec/archive/operators.hpp>
#include <escqrs/core/error.hpp>
#include <escqrs/core/hex.hpp>
#include <escqrs/core/text.hpp>

#include <charconv>
#include <cstddef>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace escqrs::inline v0::archive {

/// Writes values as JSON (see `Json`). Models the Saving Archive concept of Boost.Serialization.
///
/// The bytes are in the vector when `root` returns, or when the archive is destroyed. If an error is thrown, the vector
/// ends in bytes that the caller must drop.
/// @par Thread safety  one thread at a time
class JsonOutput : public detail::OutputOperators<JsonOutput> {
public:
    /// Appends to `out`, which must outlive the archive and not be touched while a value is being written.
    explicit JsonOutput(std::vector<std::byte>& out) noexcept : sink_{out} {}

    /// Writes an event or another whole value. Its `serialize`, and those of classes nested in it, receive
    /// `schema_version`.
    /// @throws CodecError if JSON cannot express a value (text that is not UTF-8, a number that is not finite), or if a
    ///         `serialize` names a field twice or mixes named and unnamed values; the text says which field
    template <class T>
    void root(const T& value, unsigned schema_version)
    {
        schema_version_ = schema_version;
        accept(value);
        sink_.commit();
    }

    /// Writes `length` bytes as a base64 text.
    void save_binary(const void* bytes, std::size_t length)
    {
        claim_unnamed();
        write_text(detail::to_base64({static_cast<const std::byte*>(bytes), length}));
    }

private:
    friend class detail::OutputOperators<JsonOutput>;
    using Scope = detail::JsonScope;
    using Shape = detail::JsonScope::Shape;

    template <class T>
    void accept(const T& value)
    {
        if constexpr (detail::Named<T>) {
            open_field(value.name());
            write(std::as_const(value.value()));
            scope_->field = {};
        } else {
            claim_unnamed();
            write(value);
        }
    }

    template <class T>
    void write(const T& value);
    template <class T>
    void write_object(const T& object);
    template <class T>
    void write_map(const T& map);
    template <class T>
    void write_optional(const T& optional);
    template <class T>
    void write_variant(const T& variant);
    template <class T>
    void write_number(T value);

    void write_text(std::string_view text);
    void open_field(std::string_view name);
    void claim_unnamed();

    void enter(char bracket)
    {
        if (++depth_ > detail::max_depth) fail("arrays and objects are nested more than 64 deep");
        sink_.append(bracket);
    }

    void leave(char bracket)
    {
        --depth_;
        sink_.append(bracket);
    }

    /// Runs `write_elements`, which calls `next_element` before each, between brackets.
    template <class WriteElements>
    void write_array(WriteElements&& write_elements)
    {
        Scope scope{.shape = Shape::array};
        const detail::JsonScopeGuard guard{scope_, scope};
        enter('[');
        write_elements();
        leave(']');
    }

    void next_element()
    {
        if (!scope_->first) {
            sink_.append(',');
            ++scope_->index;
        }
        scope_->first = false;
    }

    [[noreturn, gnu::cold, gnu::noinline]] void fail(const std::string& why) const
    {
        throw CodecError{"JSON archive: cannot write" + detail::path_phrase(scope_) + ": " + why};
    }

    detail::ByteSink sink_;
    unsigned schema_version_ = 0;
    unsigned depth_ = 0;
    Scope top_;
    Scope* scope_ = &top_;
    /// Where the fields written so far begin, of all open objects.
    std::vector<std::size_t> names_;
    std::size_t first_name_ = 0; ///< first of those of the innermost object
};

template <class T>
void JsonOutput::write(const T& value)
{
    using detail::Kind;
    detail::require_supported<JsonOutput, T>();
    constexpr Kind kind = detail::kind_of<JsonOutput, T>();
    if constexpr (kind == Kind::boolean) sink_.append(value ? std::string_view{"true"} : std::string_view{"false"});
    else if constexpr (kind == Kind::integer || kind == Kind::floating) write_number(value);
    else if constexpr (kind == Kind::enumeration) write(detail::number_of(value));
    else if constexpr (kind == Kind::enum_name) {
        const std::string_view name = detail::EnumNames<T>::name_of(value);
        if (name.empty()) fail(detail::EnumNames<T>::unnamed_text(value));
        write_text(name);
    } else if constexpr (kind == Kind::uuid) write_text(escqrs::to_string(value));
    else if constexpr (kind == Kind::named) write(std::as_const(value.value()));
    else if constexpr (kind == Kind::object || kind == Kind::empty) write_object(value);
    else if constexpr (kind == Kind::text) write_text({value.data(), value.size()});
    else if constexpr (kind == Kind::bytes) write_text(detail::to_base64({value.data(), value.size()}));
    else if constexpr (kind == Kind::sequence || kind == Kind::set || kind == Kind::array) {
        write_array([&] {
            for (auto&& element : value) {
                next_element();
                if constexpr (requires { typename T::value_type; }) write<typename T::value_type>(element);
                else write(element);
            }
        });
    } else if constexpr (kind == Kind::tuple) {
        write_array([&] {
            detail::for_each_element(value, [&](const auto& element) {
                next_element();
                write(element);
            });
        });
    } else if constexpr (kind == Kind::map) write_map(value);
    else if constexpr (kind == Kind::optional) write_optional(value);
    else if constexpr (kind == Kind::variant) write_variant(value);
    else if constexpr (kind == Kind::duration) {
        static_assert(std::is_integral_v<typename T::rep> || sizeof(typename T::rep) <= sizeof(double),
                      "escqrs: a duration counted in long double cannot be stored");
        write_number(value.count());
    } else if constexpr (kind == Kind::time_point) {
        const auto time = detail::split_time<T>(value);
        if (!time) fail("the time is outside the years 0 to 9999");
        write_text(escqrs::detail::to_rfc3339(*time, detail::fraction_digits<T>()));
    }
}

template <class T>
void JsonOutput::write_object(const T& object)
{
    Scope scope;
    const detail::JsonScopeGuard guard{scope_, scope};
    const std::size_t first_name = std::exchange(first_name_, names_.size());
    if constexpr (detail::kind_of<JsonOutput, T>() == detail::Kind::object) {
        // One serialize serves both ways, as in Boost, so it cannot be const.
        detail::serialize_object(*this, const_cast<T&>(object), schema_version_); // NOLINT
    }
    if (scope.shape == Shape::undecided) enter('{');
    if (scope.shape != Shape::transparent) leave('}');
    names_.resize(first_name_);
    first_name_ = first_name;
}

template <class T>
void JsonOutput::write_map(const T& map)
{
    if constexpr (detail::json_object_like<JsonOutput, T>) {
        Scope scope{.shape = Shape::object};
        const detail::JsonScopeGuard guard{scope_, scope};
        enter('{');
        for (const auto& [key, value] : map) {
            next_element();
            scope.field = {key.data(), key.size()};
            write_text(scope.field);
            sink_.append(':');
            write(value);
        }
        leave('}');
    } else {
        write_array([&] {
            for (const auto& entry : map) {
                next_element();
                write(entry);
            }
        });
    }
}

template <class T>
void JsonOutput::write_optional(const T& optional)
{
    if (!optional.has_value()) return sink_.append("null");
    const std::size_t at = sink_.size();
    write(*optional);
    if (sink_.data()[at] == std::byte{'n'}) fail("the value of the optional is null in JSON, as no value would be");
}

template <class T>
void JsonOutput::write_variant(const T& variant)
{
    if (variant.valueless_by_exception()) fail("the variant is valueless");
    Scope scope{.shape = Shape::object, .field = "value"};
    const detail::JsonScopeGuard guard{scope_, scope};
    enter('{');
    sink_.append("\"index\":");
    write_number(variant.index());
    sink_.append(",\"value\":");
    detail::visit_alternative(variant, [&](const auto& alternative) { write(alternative); });
    leave('}');
}

template <class T>
void JsonOutput::write_number(T value)
{
    constexpr std::size_t longest = 32; // 24 for a double, 20 for an integer
    if constexpr (std::is_floating_point_v<T>) {
        // std::isfinite would bring in all of <cmath>.
        const bool is_finite = value >= std::numeric_limits<T>::lowest() && value <= std::numeric_limits<T>::max();
        if (!is_finite) fail("the number is not finite");
    }
    char* const from = reinterpret_cast<char*>(sink_.room_for(longest)); // NOLINT: char may alias
    if constexpr (std::is_floating_point_v<T>) {
        sink_.wrote(static_cast<std::size_t>(std::to_chars(from, from + longest, value).ptr - from));
    } else {
        using Wide =
            std::conditional_t<std::is_signed_v<T>, long long, unsigned long long>; // to_chars knows no char16_t
        sink_.wrote(static_cast<std::size_t>(std::to_chars(from, from + longest, static_cast<Wide>(value)).ptr - from));
    }
}

inline void JsonOutput::write_text(std::string_view text)
{
    sink_.append('"');
    std::size_t plain = 0; // begin of what has not been written yet
    for (std::size_t at = 0; at < text.size();) {
        const char character = text[at];
        const std::size_t length = detail::utf8_sequence_length(text.substr(at));
        if (length == 0) fail("the text is not valid UTF-8 at its byte " + std::to_string(at));
        const bool control = static_cast<unsigned char>(character) < 0x20;
        if (control || character == '"' || character == '\\') {
            sink_.append(text.substr(plain, at - plain));
            plain = at + 1;
            sink_.append('\\');
            switch (character) {
            case '\b': sink_.append('b'); break;
            case '\f': sink_.append('f'); break;
            case '\n': sink_.append('n'); break;
            case '\r': sink_.append('r'); break;
            case '\t': sink_.append('t'); break;
            default:
                if (control) sink_.append("u00" + to_hex(text.substr(at, 1)));
                else sink_.append(character);
            }
        }
        at += length;
    }
    sink_.append(text.substr(plain));
    sink_.append('"');
}

inline void JsonOutput::open_field(std::string_view name)
{
    Scope& scope = *scope_;
    if (&scope == &top_) fail("field '" + std::string{name} + "' is not inside a class");
    if (scope.shape == Shape::transparent) fail("field '" + std::string{name} + "' follows an unnamed value");
    if (scope.shape == Shape::undecided) {
        scope.shape = Shape::object;
        enter('{');
    }
    next_element();
    const std::size_t begin = sink_.size();
    write_text(name);
    const std::size_t length = sink_.size() - begin; // of the name in its quotes, which no other name begins with
    for (std::size_t at = first_name_; at < names_.size(); ++at) {
        if (std::memcmp(sink_.data() + names_[at], sink_.data() + begin, length) == 0) {
            fail("field '" + std::string{name} + "' is named twice");
        }
    }
    names_.push_back(begin);
    scope.field = name;
    sink_.append(':');
}

inline void JsonOutput::claim_unnamed()
{
    if (scope_->shape == Shape::object) fail("an unnamed value follows a named one; name it with escqrs::field");
    if (scope_->shape == Shape::transparent) fail("a second unnamed value; name both with escqrs::field");
    scope_->shape = Shape::transparent;
}

} // namespace escqrs::inline v0::archive
