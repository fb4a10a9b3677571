// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/domain/access.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace boost::serialization {
template <class T>
struct version; // completed by <boost/serialization/version.hpp>, where BOOST_CLASS_VERSION lives
} // namespace boost::serialization

namespace escqrs::inline v0 {

/// A named reference to a member, for `serialize`: `archive & escqrs::field("email", email)`.
///
/// The binary archive ignores the name, the JSON archive writes it. `boost::serialization::make_nvp` serves as well.
template <class T>
class Field {
public:
    /// Both must outlive this object.
    constexpr Field(const char* name, T& value) noexcept : name_{name}, value_{&value} {}

    constexpr const char* name() const noexcept { return name_; } ///< of the field, for formats that store names
    constexpr T& value() const noexcept { return *value_; }       ///< the member itself

    /// Reads or writes the member alone.
    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & *value_;
    }

private:
    const char* name_;
    T* value_;
};

/// Names a member for `serialize`; `name` and `value` must outlive what is returned.
template <class T>
constexpr const Field<T> field(const char* name, T& value) noexcept // NOLINT: const, as Boost's make_nvp
{
    return Field<T>{name, value};
}

/// True if `E` has an event name, the stable name under which it is stored:
/// `static constexpr std::string_view event_name = "AttendeeRegistered";`
template <class E>
concept HasEventName = requires {
    { E::event_name } -> std::convertible_to<std::string_view>;
};

/// Name under which `E` is stored and sent. It outlives renames of the C++ type.
template <class E>
constexpr std::string_view event_name() noexcept
{
    static_assert(HasEventName<E>,
                  "escqrs: this event has no name; add to it: static constexpr std::string_view event_name = \"...\";");
    if constexpr (HasEventName<E>) return E::event_name;
    else return {};
}

/// Schema version of `E`: its member `schema_version`, else its BOOST_CLASS_VERSION, else 0 (as in
/// Boost.Serialization). `serialize` receives the version the bytes were written with.
template <class E>
constexpr unsigned schema_version() noexcept
{
    if constexpr (requires { E::schema_version; }) return static_cast<unsigned>(E::schema_version);
    else if constexpr (requires { boost::serialization::version<E>::value; }) {
        return static_cast<unsigned>(boost::serialization::version<E>::value);
    } else return 0;
}

/// Oldest schema version that the `serialize` of `E` still reads: its member `oldest_schema_version`, else 0.
template <class E>
constexpr unsigned oldest_schema_version() noexcept
{
    if constexpr (requires { E::oldest_schema_version; }) return static_cast<unsigned>(E::oldest_schema_version);
    else return 0;
}

/// An event that an aggregate raises without changing its own state: listed as `NoStateChange<MailSent>`, it needs no
/// `apply`.
template <class E>
struct NoStateChange {
    using Event = E; ///< as it is stored and handled
};

namespace detail {

template <class E>
struct EventOf {
    using Type = E;
};
template <class E>
struct EventOf<NoStateChange<E>> {
    using Type = E;
};

template <class E>
inline constexpr bool changes_state = true;
template <class E>
inline constexpr bool changes_state<NoStateChange<E>> = false;

template <class... Events>
constexpr bool names_are_unique() noexcept
{
    const std::string_view names[] = {event_name<Events>()..., std::string_view{}};
    for (std::size_t left = 0; left < sizeof...(Events); ++left) {
        for (std::size_t right = left + 1; right < sizeof...(Events); ++right) {
            if (names[left] == names[right]) return false;
        }
    }
    return true;
}

} // namespace detail

/// A closed set of event types, known at compile time.
template <class... Events>
struct EventList {
    static constexpr std::size_t size = sizeof...(Events); ///< number of types

    /// True if `E` is one of the types.
    template <class E>
    static constexpr bool contains = (std::is_same_v<E, Events> || ...);

    static_assert((std::is_class_v<Events> && ...), "escqrs: an event is a plain struct");
    static_assert(detail::names_are_unique<Events...>(),
                  "escqrs: two events of this list have the same name (event_name); names must be unique");
};

template <class List, class... Rules>
struct Evolution; // completed by <escqrs/codec/upcasting.hpp>

namespace detail {

/// One list of the types of several, each of the same `List<Types...>`.
template <class List, class... Others>
struct Joined {
    using Type = List;
};
template <template <class...> class List, class... First, class... Second, class... Others>
struct Joined<List<First...>, List<Second...>, Others...> : Joined<List<First..., Second...>, Others...> {};

/// The current events of a list or an `Evolution`.
template <class Events>
struct ListOf;
template <class... Events>
struct ListOf<EventList<Events...>> {
    using Type = EventList<Events...>;
};
template <class List, class... Rules>
struct ListOf<Evolution<List, Rules...>> {
    using Type = List;
};

/// The events that an aggregate, a decider or handlers name, with what becomes of older shapes: their member `Events`;
/// of an aggregate that has none, those of its `AggregateRoot`.
template <class Owner>
struct EventsOf {
    static_assert(sizeof(Owner) == 0, "escqrs: this type does not say which events it has; add to it: "
                                      "using Events = escqrs::EventList<...>;");
    using Type = EventList<>;
};
template <class Owner>
    requires(
        requires { typename Owner::Events; } && !requires { typename Owner::EventTypes; })
struct EventsOf<Owner> {
    using Type = typename Owner::Events;
};
template <class Owner>
    requires(
        requires { typename Owner::EventTypes; } && !requires { typename Owner::Events; })
struct EventsOf<Owner> {
    using Type = typename Owner::EventTypes;
};
template <class Owner>
    requires requires {
        typename Owner::EventTypes;
        typename Owner::Events;
    }
struct EventsOf<Owner> {
    using Type = typename Owner::Events;
    static_assert(std::is_same_v<typename ListOf<Type>::Type, typename Owner::EventTypes>,
                  "escqrs: the Events of this aggregate are not those of its AggregateRoot<Derived, Events...>; say: "
                  "using Events = escqrs::Evolution<EventTypes, ...>;");
};

} // namespace detail

} // namespace escqrs::inline v0
