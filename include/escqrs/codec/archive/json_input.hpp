// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/codec/archive/detail/enum_range.hpp>
#include <escqrs/codec/archive/detail/json_fields.hpp>
#include <escqrs/codec/archive/detail/json_reader.hpp>
#include <escqrs/codec/archive/detail/read_floating.hpp>
#include <escqrs/codec/archive/json_time.hpp>
#include <escqrs/codec/archive/operators.hpp>
#include <escqrs/core/error.hpp>

#include <charconv>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace escqrs::inline v0::archive {

/// Reads JSON (see `Json`). Models the Loading Archive concept of Boost.Serialization.
///
/// The bytes may come from anyone: whatever they are, reading yields a value or a `CodecError`, touches no byte outside
/// them, and takes memory in proportion to their number. After an error the object is half filled. Fields may come in
/// any order; fields that `serialize` does not name are ignored.
/// @par Thread safety  one thread at a time
/// @par Complexity     linear in the bytes, times the depth of nesting where fields are not in the order of `serialize`
class JsonInput : public detail::InputOperators<JsonInput> {
public:
    /// @param bytes  must outlive the archive
    explicit JsonInput(std::span<const std::byte> bytes) noexcept : reader_{bytes, scope_} {}

    /// Reads an event or another whole value. Its `serialize`, and those of classes nested in it, receive
    /// `schema_version`, the version that the bytes were written with.
    /// @throws CodecError if the bytes are not such a value; the text says what was expected, the place and the field
    template <class T>
    void root(T& value, unsigned schema_version)
    {
        schema_version_ = schema_version;
        accept(value);
    }

    /// @throws CodecError if anything but white space is left
    void finish() { reader_.finish(); }

    /// Reads `length` bytes that `save_binary` wrote.
    void load_binary(void* to, std::size_t length)
    {
        claim_unnamed();
        read_base64_into(to, length);
    }

private:
    friend class detail::InputOperators<JsonInput>;
    using Scope = detail::JsonScope;
    using Shape = detail::JsonScope::Shape;

    template <class T>
    void accept(T& value)
    {
        if constexpr (detail::Named<std::remove_const_t<T>>) read_field(value.name(), value.value());
        else {
            claim_unnamed();
            read(value);
        }
    }

    template <class T>
    void read(T& value);
    template <class T>
    void read_field(std::string_view name, T& value);
    template <class T>
    void read_object(T& object);
    template <class T>
    void read_sequence(T& sequence);
    template <class T>
    void read_set(T& set);
    template <class T>
    void read_map(T& map);
    template <class T>
    void read_array(T& array);
    template <class T>
    void read_tuple(T& tuple);
    template <class E>
    void read_enum_name(E& value);
    template <class T>
    void read_variant(T& variant);
    template <class T>
    T read_number();
    template <class Time>
    Time read_time();

    void read_base64(std::vector<std::byte>& bytes);
    void read_base64_into(void* to, std::size_t length);
    Uuid read_uuid();
    void claim_unnamed();

    /// Runs `read_element` for each element of an array.
    template <class ReadElement>
    void read_elements(ReadElement&& read_element)
    {
        Scope scope{.shape = Shape::array};
        reader_.enter('[', "an array");
        const detail::JsonScopeGuard guard{scope_, scope};
        if (reader_.leave(']')) return;
        do {
            read_element();
            ++scope.index;
        } while (reader_.take(','));
        if (!reader_.leave(']')) reader_.fail_expected("',' or ']'");
    }

    Scope top_;
    Scope* scope_ = &top_;
    detail::JsonReader reader_;
    unsigned schema_version_ = 0;
};

template <class T>
void JsonInput::read(T& value)
{
    using detail::Kind;
    using Value = std::remove_const_t<T>;
    detail::require_supported<JsonInput, Value>();
    constexpr Kind kind = detail::kind_of<JsonInput, Value>();
    if constexpr (kind == Kind::boolean) value = reader_.read_boolean();
    else if constexpr (kind == Kind::integer || kind == Kind::floating) value = read_number<T>();
    else if constexpr (kind == Kind::enumeration) {
        const std::size_t begin = reader_.next_offset();
        std::underlying_type_t<T> number{};
        read(number);
        if (!detail::can_hold<T>(number)) reader_.fail_at(begin, detail::not_held_text<T>(number));
        value = static_cast<T>(number);
    } else if constexpr (kind == Kind::enum_name) read_enum_name(value);
    else if constexpr (kind == Kind::uuid) value = read_uuid();
    else if constexpr (kind == Kind::named) read(value.value());
    else if constexpr (kind == Kind::object || kind == Kind::empty) read_object(value);
    else if constexpr (kind == Kind::text) {
        if constexpr (std::same_as<T, std::string>) reader_.read_text(&value, "a string");
        else {
            std::string text;
            reader_.read_text(&text, "a string");
            value.assign(text.data(), text.size());
        }
    } else if constexpr (kind == Kind::bytes) {
        if constexpr (std::same_as<T, std::vector<std::byte>>) read_base64(value);
        else if constexpr (detail::SequenceLike<T>) {
            std::vector<std::byte> bytes;
            read_base64(bytes);
            value.assign(bytes.begin(), bytes.end());
        } else read_base64_into(value.data(), value.size());
    } else if constexpr (kind == Kind::sequence) read_sequence(value);
    else if constexpr (kind == Kind::set) read_set(value);
    else if constexpr (kind == Kind::map) read_map(value);
    else if constexpr (kind == Kind::array) read_array(value);
    else if constexpr (kind == Kind::tuple) read_tuple(value);
    else if constexpr (kind == Kind::optional) {
        value.reset();
        if (!reader_.take_null()) read(value.emplace());
    } else if constexpr (kind == Kind::variant) read_variant(value);
    else if constexpr (kind == Kind::duration) value = T{read_number<typename T::rep>()};
    else if constexpr (kind == Kind::time_point) value = read_time<T>();
}

template <class T>
void JsonInput::read_field(std::string_view name, T& value)
{
    Scope& scope = *scope_;
    if (scope.fields == nullptr) reader_.fail("field '" + std::string{name} + "' is not inside a class,");
    if (scope.shape == Shape::transparent) reader_.fail("field '" + std::string{name} + "' follows an unnamed value");
    scope.shape = Shape::object;
    if (scope.fields->find(name)) {
        scope.field = name;
        read(value);
        scope.field = {};
        scope.fields->value_was_read();
    } else if constexpr (detail::kind_of<JsonInput, T>() == detail::Kind::optional) value.reset();
    else reader_.fail("field '" + std::string{name} + "' is missing; the object begins");
}

template <class T>
void JsonInput::read_object(T& object)
{
    Scope scope;
    const detail::JsonScopeGuard guard{scope_, scope};
    detail::JsonFields fields{reader_};
    scope.fields = &fields;
    if constexpr (detail::kind_of<JsonInput, T>() == detail::Kind::object) {
        detail::serialize_object(*this, object, schema_version_);
    }
    if (scope.shape != Shape::transparent) fields.finish();
}

template <class T>
void JsonInput::read_sequence(T& sequence)
{
    sequence.clear();
    read_elements([&] {
        if constexpr (std::same_as<typename T::value_type, bool>) sequence.push_back(reader_.read_boolean());
        else read(sequence.emplace_back());
    });
}

template <class T>
void JsonInput::read_set(T& set)
{
    set.clear();
    read_elements([&] {
        const std::size_t begin = reader_.next_offset();
        typename T::key_type key{};
        read(key);
        const std::size_t before = set.size();
        set.emplace_hint(set.end(), std::move(key));
        if (set.size() == before) reader_.fail_at(begin, "expected distinct elements of a set, found one twice");
    });
}

template <class T>
void JsonInput::read_map(T& map)
{
    using Key = typename T::key_type;
    using Mapped = typename T::mapped_type;
    const auto insert = [&](std::size_t begin, Key&& key, Mapped&& value) {
        const std::size_t before = map.size();
        map.emplace_hint(map.end(), std::move(key), std::move(value));
        if (map.size() == before) reader_.fail_at(begin, "expected distinct keys of a map, found one twice");
    };
    map.clear();
    if constexpr (detail::kind_of<JsonInput, Key>() == detail::Kind::text && detail::UniqueMapLike<T>) {
        reader_.enter('{', "an object");
        if (reader_.leave('}')) return;
        Scope scope{.shape = Shape::object};
        const detail::JsonScopeGuard guard{scope_, scope};
        do {
            const std::size_t begin = reader_.next_offset();
            std::string name;
            reader_.read_key(name);
            Mapped value{};
            scope.field = name;
            read(value);
            insert(begin, Key(name.data(), name.size()), std::move(value));
            scope.field = {};
        } while (reader_.take(','));
        if (!reader_.leave('}')) reader_.fail_expected("',' or '}'");
    } else {
        read_elements([&] {
            const std::size_t begin = reader_.next_offset();
            std::pair<Key, Mapped> entry{};
            read_tuple(entry);
            insert(begin, std::move(entry.first), std::move(entry.second));
        });
    }
}

template <class T>
void JsonInput::read_array(T& array)
{
    auto element = std::begin(array);
    read_elements([&] {
        if (element == std::end(array))
            reader_.fail_expected("']' after " + std::to_string(std::size(array)) + " elements");
        read(*element++);
    });
    if (element != std::end(array))
        reader_.fail("expected " + std::to_string(std::size(array)) + " elements, found fewer");
}

template <class T>
void JsonInput::read_tuple(T& tuple)
{
    Scope scope{.shape = Shape::array};
    reader_.enter('[', "an array");
    const detail::JsonScopeGuard guard{scope_, scope};
    detail::for_each_element(tuple, [&](auto& element) {
        if (scope.index != 0) reader_.expect(',', "','");
        read(element);
        ++scope.index;
    });
    if (!reader_.leave(']')) reader_.fail_expected("']'");
}

template <class T>
void JsonInput::read_variant(T& variant)
{
    Scope scope{.shape = Shape::object};
    const detail::JsonScopeGuard guard{scope_, scope};
    detail::JsonFields fields{reader_};
    if (!fields.find("index")) reader_.fail("field 'index' of a variant is missing; the object begins");
    scope.field = "index";
    const std::size_t begin = reader_.next_offset();
    const auto index = read_number<std::size_t>();
    fields.value_was_read();
    if (index >= detail::Alternatives<T>::count) {
        reader_.fail_at(begin, "expected the number of a variant's alternative, found " + std::to_string(index));
    }
    scope.field = {};
    if (!fields.find("value")) reader_.fail("field 'value' of a variant is missing; the object begins");
    scope.field = "value";
    detail::emplace_alternative(variant, index, [&](auto& alternative) { read(alternative); });
    scope.field = {};
    fields.value_was_read();
    fields.finish();
}

template <class E>
void JsonInput::read_enum_name(E& value)
{
    const std::size_t begin = reader_.next_offset();
    std::string name;
    reader_.read_text(&name, "the name of an enumeration's value as a string");
    if (!detail::EnumNames<E>::find(name, value)) reader_.fail_at(begin, detail::EnumNames<E>::unknown_name_text(name));
}

template <class T>
T JsonInput::read_number()
{
    const std::string_view text = reader_.read_number();
    const auto refuse = [&](const char* expected) {
        reader_.fail_at(reader_.offset() - text.size(),
                        std::string{"expected "} + expected + ", found " + std::string{text.substr(0, 64)});
    };
    if constexpr (std::is_floating_point_v<T>) {
        static_assert(sizeof(T) <= sizeof(double), "escqrs: long double cannot be stored");
        T value{};
        if (!detail::read_floating(text, value)) refuse("a number in the range of its type");
        return value;
    } else {
        using Wide = std::conditional_t<std::is_signed_v<T>, long long, unsigned long long>;
        Wide value{};
        const char* const end = text.data() + text.size();
        const char* const begin = std::is_signed_v<T> || text != "-0" ? text.data() : end - 1;
        const auto [stop, error] = std::from_chars(begin, end, value);
        if (error == std::errc::invalid_argument) refuse("a number that is not negative");
        if (stop != end) refuse("an integer");
        if (error != std::errc{} || static_cast<Wide>(static_cast<T>(value)) != value) {
            refuse("an integer in the range of its type");
        }
        return static_cast<T>(value);
    }
}

template <class Time>
Time JsonInput::read_time()
{
    const std::size_t begin = reader_.next_offset();
    std::string text;
    reader_.read_text(&text, "a time as a string");
    if (const auto split = escqrs::detail::parse_rfc3339(text, detail::fraction_digits<Time>())) {
        if (const auto time = detail::join_time<Time>(*split)) return *time;
    }
    reader_.fail_at(begin,
                    "expected a time like 2026-11-23T10:00:00Z, in the range and precision of its type, found '" +
                        text.substr(0, 64) + "'");
}

inline void JsonInput::read_base64(std::vector<std::byte>& bytes)
{
    const std::size_t begin = reader_.next_offset();
    std::string text;
    reader_.read_text(&text, "a base64 string");
    if (!detail::from_base64(text, bytes)) reader_.fail_at(begin, "expected padded base64, found another string");
}

inline void JsonInput::read_base64_into(void* to, std::size_t length)
{
    const std::size_t begin = reader_.next_offset();
    std::vector<std::byte> bytes;
    read_base64(bytes);
    if (bytes.size() != length) {
        reader_.fail_at(begin, "expected " + std::to_string(length) + " bytes in base64, found " +
                                   std::to_string(bytes.size()));
    }
    if (length != 0) std::memcpy(to, bytes.data(), length);
}

inline Uuid JsonInput::read_uuid()
{
    const std::size_t begin = reader_.next_offset();
    std::string text;
    reader_.read_text(&text, "a UUID as a string");
    try {
        return parse_uuid(text);
    } catch (const InvalidIdentifier& error) {
        reader_.fail_at(begin, error.what());
    }
}

inline void JsonInput::claim_unnamed()
{
    if (scope_->shape == Shape::object) reader_.fail("an unnamed value follows a named one");
    if (scope_->shape == Shape::transparent) reader_.fail("a second unnamed value");
    scope_->shape = Shape::transparent;
}

} // namespace escqrs::inline v0::archive
