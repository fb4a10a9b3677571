// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// Shared by rooms; not API.

#include <escqrs/core/identifiers.hpp>

#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>

namespace boost::serialization {
class access; // completed by <boost/serialization/access.hpp>; befriended by classes that keep `serialize` private
template <class T>
struct version;
} // namespace boost::serialization

namespace escqrs::inline v0::archive::detail {

/// How an archive treats a type. Types of the standard library are recognised by their shape, so that no archive header
/// has to include <map>, <optional>, <variant> or <chrono>.
enum class Kind {
    boolean,
    integer,
    floating,
    enumeration,
    enum_name,
    uuid,
    named,
    object,
    empty,
    text,
    bytes,
    sequence,
    array,
    tuple,
    map,
    set,
    optional,
    variant,
    duration,
    time_point,
    pointer,
    unsupported
};

/// `escqrs::Field` or `boost::serialization::nvp`: a name and a reference, nothing else.
template <class T>
concept Named = std::is_class_v<T> && !std::is_default_constructible_v<T> && sizeof(T) == 2 * sizeof(void*) &&
                requires(const T& named) {
                    { named.name() } -> std::same_as<const char*>;
                    {
                        named.value()
                    };
                    requires std::is_lvalue_reference_v<decltype(named.value())>;
                };

template <class T>
concept TextLike = std::same_as<typename T::value_type, char> && requires(T& text, const char* from) {
    text.c_str();
    text.assign(from, std::size_t{});
};

template <class T>
concept SequenceLike = !requires { typename T::key_type; } && requires(T& sequence) {
    typename T::value_type;
    sequence.emplace_back();
    sequence.clear();
    { sequence.size() } -> std::convertible_to<std::size_t>;
    sequence.begin();
};

template <class T>
concept ContiguousLike = requires(T& container) {
    typename T::value_type;
    { container.data() } -> std::same_as<typename T::value_type*>;
};

template <class T>
concept SetLike = requires(T& set) {
    typename T::key_type;
    set.clear();
    set.emplace_hint(set.end(), std::declval<typename T::key_type>());
};

template <class T>
concept MapLike = requires(T& map) {
    typename T::key_type;
    typename T::mapped_type;
    map.clear();
    map.emplace_hint(map.end(), std::declval<typename T::key_type>(), std::declval<typename T::mapped_type>());
};

/// A map that holds a key once.
template <class T>
concept UniqueMapLike = MapLike<T> && requires(T& map) { map.try_emplace(std::declval<typename T::key_type>()); };

template <class T>
concept OptionalLike = requires(T& optional) {
    typename T::value_type;
    { optional.has_value() } -> std::same_as<bool>;
    optional.reset();
    optional.emplace();
    { *optional } -> std::same_as<typename T::value_type&>;
};

template <class T>
concept VariantLike = requires(T& variant) {
    { variant.valueless_by_exception() } -> std::same_as<bool>;
    { variant.index() } -> std::convertible_to<std::size_t>;
};

template <class T>
concept TupleLike = requires { std::tuple_size<T>::value; };

template <class T>
concept ArrayLike = std::is_array_v<T> || (TupleLike<T> && ContiguousLike<T>);

template <class T>
concept DurationLike = requires(const T& duration) {
    typename T::rep;
    typename T::period;
    duration.count();
};

/// A point of the system clock, that is, of UTC.
template <class T>
concept TimePointLike = DurationLike<typename T::duration> && requires(const T& time) {
    time.time_since_epoch();
    T::clock::to_time_t(typename T::clock::time_point{});
};

/// The version as passed to a free `serialize`. Its template argument makes argument-dependent lookup search
/// boost::serialization too, where Boost's manual has one put a free `serialize` for foreign types.
template <class>
struct FreeVersion {
    unsigned value;
    constexpr operator unsigned() const noexcept { return value; } // NOLINT(google-explicit-constructor)
};
using FreeVersionArgument = FreeVersion<boost::serialization::version<void>>;

/// An enumeration that Boost.Describe describes: it is stored by the names of its values.
template <class E>
concept DescribedEnum = std::is_enum_v<E> && requires { boost_enum_descriptor_fn(static_cast<E**>(nullptr)); };

/// The names of a described enumeration's values; defined by <escqrs/codec/describe.hpp>.
template <class E>
struct EnumNames;

template <class E>
concept NamedEnum = DescribedEnum<E> && requires { sizeof(EnumNames<E>); };

/// A class that Boost.Describe describes.
template <class T>
concept DescribedClass =
    std::is_class_v<T> && requires { boost_public_member_descriptor_fn(static_cast<T**>(nullptr)); };

template <class T, class Archive>
concept MemberSerialize = requires(T& object, Archive& archive) { object.serialize(archive, 0U); };

template <class T, class Archive>
concept FreeSerialize = requires(T& object, Archive& archive) { serialize(archive, object, FreeVersionArgument{0U}); };

/// As free as Boost's own, which takes every type: where that is included, a call of either is ambiguous.
namespace any_type {
struct Tag {};
template <class Archive, class T>
Tag serialize(Archive& archive, T& object, unsigned version); // for its type
} // namespace any_type

/// A free `serialize` other than the one of <boost/serialization/serialization.hpp>, included or not.
template <class T, class Archive>
concept OwnFreeSerialize = requires(T& object, Archive& archive) {
    requires !std::same_as<decltype(serialize(archive, object,
                                              FreeVersion<boost::serialization::version<any_type::Tag>>{0U})),
                           any_type::Tag>;
};

struct HasSerializeName {
    void serialize();
};
template <class T>
struct SerializeNameProbe : T, HasSerializeName {};

/// A private `serialize`: the name exists (so it is ambiguous in the probe), and a friend may call it.
template <class T>
concept HiddenSerialize = std::is_class_v<T> && !std::is_final_v<T> && !requires { &SerializeNameProbe<T>::serialize; };

template <auto Member>
using SignatureOf = decltype(Member);

/// A `serialize` that is accessible, but cannot be called as an archive does.
template <class T, class Archive>
concept OtherSerialize = HiddenSerialize<T> && (
                                                   requires { typename SignatureOf<&T::serialize>; } ||
                                                   requires { typename SignatureOf<&T::template serialize<Archive>>; });

/// A member `serialize` that is const, and so can read nothing.
template <class T, class Archive>
concept ConstSerialize =
    !std::is_empty_v<T> && requires(const T& object, Archive& archive) { object.serialize(archive, 0U); };

template <class Result, class Declaring, class... Parameters>
std::type_identity<Declaring> class_of(Result (Declaring::*)(Parameters...)); // for its type

template <template <class...> class List, class... Public, class... Protected, class... Private>
List<Public..., Protected..., Private...> joined(List<Public...>, List<Protected...>, List<Private...>); // for its type

/// What the description of a class lists, whatever its access: fields, but also functions and static members.
template <class T, T** type = nullptr>
using MembersOf = decltype(joined(boost_public_member_descriptor_fn(type), boost_protected_member_descriptor_fn(type),
                                  boost_private_member_descriptor_fn(type)));

template <class Member>
inline constexpr bool is_field = std::is_member_object_pointer_v<decltype(Member::pointer)>;

/// Whether `T`, which inherits from `Declaring`, describes fields that a member function of that cannot know.
template <class T, class Declaring>
consteval bool has_fields_beyond()
{
    if constexpr (std::same_as<T, Declaring>) return false;
    else if constexpr (!std::is_base_of_v<Declaring, T>) return !std::is_empty_v<T>;
    else if constexpr (!DescribedClass<T>) return false;
    else {
        return []<template <class...> class List, class... Members, class... Bases>(List<Members...>, List<Bases...>) {
            return (is_field<Members> || ...) || (has_fields_beyond<typename Bases::type, Declaring>() || ...);
        }(MembersOf<T>{}, decltype(boost_base_descriptor_fn(static_cast<T**>(nullptr))){});
    }
}

/// A described class whose only `serialize` is that of a base, which knows nothing of its fields.
template <class T, class Archive>
concept LosesDescribedFields = DescribedClass<T> && (MemberSerialize<T, Archive> || HiddenSerialize<T>)&&requires {
    requires has_fields_beyond<T, typename decltype(class_of(&T::template serialize<Archive>))::type>();
};

/// Stops the compilation with a sentence if the `serialize` of `T` leaves fields out.
template <class Archive, class T>
constexpr void require_all_fields() noexcept
{
    static_assert(!LosesDescribedFields<T, Archive>,
                  "escqrs: this class is described, but inherits a serialize that leaves its own fields out: give it a "
                  "serialize, or describe the base instead");
}

template <class>
struct BoostAccess {
    using Type = boost::serialization::access;
};

template <class T>
concept BoostAccessIsComplete = requires { sizeof(typename BoostAccess<T>::Type); };

template <class Archive, class T>
consteval Kind kind_of_class()
{
    if constexpr (std::same_as<T, Uuid>) return Kind::uuid;
    else if constexpr (Named<T>) return Kind::named;
    else if constexpr (MemberSerialize<T, Archive>) return Kind::object;
    else if constexpr (TextLike<T>) return Kind::text;
    else if constexpr (MapLike<T>) return Kind::map;
    else if constexpr (SetLike<T>) return Kind::set;
    else if constexpr (SequenceLike<T> || ArrayLike<T>) {
        if constexpr (std::same_as<typename T::value_type, std::byte> && ContiguousLike<T>) return Kind::bytes;
        else return SequenceLike<T> ? Kind::sequence : Kind::array;
    } else if constexpr (OptionalLike<T>) return Kind::optional;
    else if constexpr (VariantLike<T>) return Kind::variant;
    else if constexpr (TupleLike<T>) return Kind::tuple;
    else if constexpr (DurationLike<T>) return Kind::duration;
    else if constexpr (TimePointLike<T>) return Kind::time_point;
    else if constexpr (std::is_empty_v<T> && !HiddenSerialize<T>)
        return OwnFreeSerialize<T, Archive> ? Kind::object : Kind::empty;
    else if constexpr (FreeSerialize<T, Archive>) return Kind::object;
    else if constexpr (HiddenSerialize<T> && !OtherSerialize<T, Archive> && BoostAccessIsComplete<T>)
        return Kind::object;
    else return Kind::unsupported;
}

template <class Archive, class T>
consteval Kind kind_of()
{
    if constexpr (std::same_as<T, bool>) return Kind::boolean;
    else if constexpr (std::is_integral_v<T> && sizeof(T) <= 8) return Kind::integer;
    else if constexpr (std::same_as<T, float> || std::same_as<T, double>) return Kind::floating;
    else if constexpr (NamedEnum<T>) return Kind::enum_name;
    else if constexpr (DescribedEnum<T>) return Kind::unsupported; // a file that knows the names stores it otherwise
    else if constexpr (std::is_enum_v<T>) return Kind::enumeration;
    else if constexpr (std::is_array_v<T>) return Kind::array;
    else if constexpr (std::is_pointer_v<T> || requires(T& pointer) {
                           pointer.get();
                           pointer.operator->();
                       }) {
        return Kind::pointer;
    } else if constexpr (std::is_class_v<T>) return kind_of_class<Archive, T>();
    else return Kind::unsupported;
}

/// A map that is an object in JSON; any other is an array of pairs.
template <class Archive, class T>
inline constexpr bool json_object_like = false;
template <class Archive, UniqueMapLike T>
inline constexpr bool json_object_like<Archive, T> = kind_of<Archive, typename T::key_type>() == Kind::text;

/// Stops the compilation with a sentence if an archive cannot store `T`.
template <class Archive, class T>
constexpr void require_supported() noexcept
{
    constexpr Kind kind = kind_of<Archive, T>();
    static_assert(kind != Kind::pointer,
                  "escqrs: a pointer cannot be stored; store the value itself, a std::optional of it, or an id; "
                  "archive::BoostText and archive::BoostXml store what Boost.Serialization does, pointers among it");
    if constexpr (kind == Kind::unsupported && DescribedEnum<T>) {
        static_assert(kind != Kind::unsupported,
                      "escqrs: this enumeration is described, so it is stored by name: include "
                      "<escqrs/codec/describe.hpp>");
    } else if constexpr (kind == Kind::unsupported && DescribedClass<T> && !HiddenSerialize<T>) {
        static_assert(kind != Kind::unsupported, "escqrs: this class is described, and stored field by field: include "
                                                 "<escqrs/codec/describe.hpp>");
    } else if constexpr (kind == Kind::unsupported && OtherSerialize<T, Archive>) {
        static_assert(kind != Kind::unsupported,
                      "escqrs: this type cannot be stored; its serialize has another signature than "
                      "template <class Archive> void serialize(Archive& archive, unsigned version)");
    } else if constexpr (kind == Kind::unsupported && HiddenSerialize<T>) {
        static_assert(kind != Kind::unsupported,
                      "escqrs: this type cannot be stored; its serialize is private: make it public, or include "
                      "<boost/serialization/access.hpp> and add to the type: friend boost::serialization::access;");
    } else {
        static_assert(kind != Kind::unsupported,
                      "escqrs: this type cannot be stored; give it a public member "
                      "template <class Archive> void serialize(Archive& archive, unsigned version), or, if it is not "
                      "yours, write in namespace boost::serialization: "
                      "template <class Archive> void serialize(Archive& archive, T& value, unsigned version)");
    }
}

/// Calls the `serialize` of a class: the member, a free one, or a private one that befriends Boost's access class.
template <class Archive, class T>
void serialize_object(Archive& archive, T& object, unsigned version)
{
    constexpr bool is_unreadable = Archive::is_loading::value && ConstSerialize<T, Archive>;
    static_assert(!is_unreadable,
                  "escqrs: the serialize of this type is const, so it cannot read; take the const away");
    require_all_fields<Archive, T>();
    if constexpr (is_unreadable) return;
    else if constexpr (MemberSerialize<T, Archive>) object.serialize(archive, version);
    else if constexpr (FreeSerialize<T, Archive>) serialize(archive, object, FreeVersionArgument{version});
    else BoostAccess<T>::Type::serialize(archive, object, version);
}

template <class>
struct Alternatives;
template <template <class...> class Variant, class... Types>
struct Alternatives<Variant<Types...>> {
    static constexpr std::size_t count = sizeof...(Types);
};

/// Calls `visit` with the alternative that `variant` holds; `variant` must hold one.
template <std::size_t Index = 0, class Variant, class Visitor>
void visit_alternative(Variant& variant, Visitor&& visit)
{
    if constexpr (Index < Alternatives<std::remove_const_t<Variant>>::count) {
        if (auto* value = get_if<Index>(&variant)) visit(*value);
        else visit_alternative<Index + 1>(variant, visit);
    }
}

/// Makes `variant` hold a fresh alternative number `index`, which must exist, and calls `visit` with it.
template <std::size_t Index = 0, class Variant, class Visitor>
void emplace_alternative(Variant& variant, std::size_t index, Visitor&& visit)
{
    if constexpr (Index < Alternatives<Variant>::count) {
        if (index == Index) visit(variant.template emplace<Index>());
        else emplace_alternative<Index + 1>(variant, index, visit);
    }
}

/// Calls `visit` with each element of a pair or tuple.
template <class Tuple, class Visitor>
void for_each_element(Tuple& tuple, Visitor&& visit)
{
    [&]<std::size_t... Index>(std::index_sequence<Index...>) {
        using std::get; // NOLINT(google-build-using-namespace): a function-local name for std and user tuples
        (visit(get<Index>(tuple)), ...);
    }(std::make_index_sequence<std::tuple_size<std::remove_const_t<Tuple>>::value>{});
}

} // namespace escqrs::inline v0::archive::detail
