// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// Include this to store what Boost.Describe describes: classes field by field, without a `serialize`, and enumerations
// by name. It needs Boost 1.77; the rest of the library does not.

#include <escqrs/codec/archive/kind.hpp>
#include <escqrs/core/readable_text.hpp>
#include <escqrs/domain/event.hpp>

#include <boost/version.hpp>
#if BOOST_VERSION < 107700
#error "escqrs: <escqrs/codec/describe.hpp> needs Boost 1.77 or later, which has Boost.Describe"
#endif
#include <boost/describe/class.hpp>
#include <boost/describe/enum.hpp>
#include <boost/describe/enumerators.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

/// Names an event as its struct, and lists its fields, which are stored in this order; the last line of the struct.
///
/// The struct needs no `serialize`, and stays an aggregate. The bytes are those of a `serialize` that names each field.
/// ```
/// struct BookLent {
///     std::string reader;
///     std::chrono::sys_days due;
///     ESCQRS_EVENT(BookLent, (reader, due))
/// };
/// ```
/// To rename the struct later, write what the macro stands for, with the name under which the event is stored:
/// `static constexpr std::string_view event_name = "BookLent";` and
/// `BOOST_DESCRIBE_CLASS(BookLoaned, (), (reader, due), (), ())`. Its second argument lists bases, if there are any.
///
/// The struct must not be local to a function, and has at most 52 fields.
#define ESCQRS_EVENT(Event, fields)                                                                                    \
    static constexpr std::string_view event_name = #Event;                                                             \
    BOOST_DESCRIBE_CLASS(Event, (), fields, (), ())

namespace escqrs::inline v0::archive::detail {

/// A value of an enumeration; signed ones are converted.
struct NamedNumber {
    std::string_view name;
    std::uint64_t number;
};

inline std::string names_text(std::span<const NamedNumber> values)
{
    constexpr std::size_t most = 16;
    std::string text;
    for (const auto& value : values.first(values.size() < most ? values.size() : most)) {
        if (!text.empty()) text += ", ";
        text += value.name;
    }
    if (values.size() > most) text += ", and " + std::to_string(values.size() - most) + " more";
    return text;
}

/// Of several names for a number, the first in the description is written; all are read.
template <DescribedEnum E>
struct EnumNames<E> {
    static std::string_view name_of(E value) noexcept
    {
        for (const auto& [name, number] : values) {
            if (number == number_of(value)) return name;
        }
        return {};
    }

    static bool find(std::string_view name, E& value) noexcept
    {
        for (const auto& known : values) {
            if (known.name == name) {
                value = static_cast<E>(static_cast<std::underlying_type_t<E>>(known.number));
                return true;
            }
        }
        return false;
    }

    static std::string unknown_name_text(std::string_view name)
    {
        return expected_text() + "found '" + readable(name, 64) + "'";
    }

    static std::string unnamed_text(E value)
    {
        return expected_text() + "found " + std::to_string(static_cast<std::underlying_type_t<E>>(value));
    }

private:
    static constexpr std::uint64_t number_of(E value) noexcept
    {
        return static_cast<std::uint64_t>(static_cast<std::underlying_type_t<E>>(value));
    }

    static std::string expected_text()
    {
        return "expected a described value of an enumeration (" + names_text(values) + "), ";
    }

    template <class>
    struct Listed;
    template <template <class...> class List, class... Values>
    struct Listed<List<Values...>> {
        static_assert(sizeof...(Values) != 0,
                      "escqrs: an enumeration that is described without a value cannot be stored");
        static constexpr NamedNumber values[] = {{Values::name, number_of(Values::value)}...};
    };
    static constexpr const auto& values = Listed<boost::describe::describe_enumerators<E>>::values;
};

/// Writes or reads a base in the place of its derived class, as if its fields were fields of that.
template <class Base, class Archive, class T>
void serialize_base([[maybe_unused]] Archive& archive, [[maybe_unused]] T& object, [[maybe_unused]] unsigned version)
{
    using Type = typename Base::type;
    static_assert((Base::modifiers & boost::describe::mod_virtual) == 0,
                  "escqrs: a described class with a virtual base cannot be stored");
    if constexpr (DescribedClass<Type> || !std::is_empty_v<Type>) {
        constexpr bool is_storable = FreeSerialize<Type, Archive> || kind_of<Archive, Type>() == Kind::object;
        if constexpr (is_storable) serialize_object(archive, static_cast<Type&>(object), version);
        else if constexpr (HiddenSerialize<Type>) require_supported<Archive, Type>();
        else static_assert(is_storable, "escqrs: a base of this described class is not described; describe it as well");
    }
}

/// Functions and static members may be described as well; they are not stored.
template <class Member, class Archive, class T>
void serialize_member([[maybe_unused]] Archive& archive, [[maybe_unused]] T& object)
{
    if constexpr (is_field<Member>) {
        archive & field(Member::name, object.*Member::pointer);
    }
}

template <class Archive, class T, template <class...> class List, class... Bases, class... Members>
[[gnu::always_inline]] inline void serialize_described(Archive& archive, T& object, [[maybe_unused]] unsigned version,
                                                       List<Bases...> /*bases*/, List<Members...> /*members*/)
{
    (serialize_base<Bases>(archive, object, version), ...);
    if constexpr (sizeof...(Members) != 0) {
        if constexpr ((is_field<Members> && ...)) {
            (archive & ... & field(Members::name, object.*Members::pointer));
        } else (serialize_member<Members>(archive, object), ...);
    }
}

} // namespace escqrs::inline v0::archive::detail

namespace boost::serialization {

/// Serves every described class that has no `serialize`: that of the class, or a free one for it, takes precedence.
/// Refuses a class that would lose fields, which Boost's archives ask for nowhere else.
template <class Archive, class T>
    requires(escqrs::archive::detail::LosesDescribedFields<T, Archive> ||
             (escqrs::archive::detail::DescribedClass<T> && !escqrs::archive::detail::MemberSerialize<T, Archive> &&
              !escqrs::archive::detail::HiddenSerialize<T>))
void serialize(Archive& archive, T& object, const unsigned version)
{
    namespace own = escqrs::archive::detail;
    own::require_all_fields<Archive, T>();
    using Bases = decltype(boost_base_descriptor_fn(static_cast<T**>(nullptr)));
    own::serialize_described(archive, object, version, Bases{}, own::MembersOf<T>{});
}

} // namespace boost::serialization
