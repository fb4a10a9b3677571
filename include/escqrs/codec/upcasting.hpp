// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/codec/codec.hpp>
#include <escqrs/domain/event.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace escqrs::inline v0 {

/// A text as a template argument.
template <std::size_t Size>
struct FixedText {
    /// Copies the literal `source`, with its end.
    consteval FixedText(const char (&source)[Size]) { std::copy_n(source, Size, text); } // NOLINT: converts a literal

    constexpr std::string_view view() const noexcept { return {text, Size - 1}; } ///< without the end

    char text[Size] = {}; ///< with a zero byte at its end
};

namespace detail {

template <class... Types>
struct TypeList {
    template <class T>
    static constexpr bool contains = (std::is_same_v<T, Types> || ...);

    template <template <class...> class Other>
    using As = Other<Types...>;
};

/// The event types that an upcaster's result may hold.
template <class Result>
struct TargetsOf {
    using Type = TypeList<Result>;
};
template <class... Parts>
struct TargetsOf<std::tuple<Parts...>> : Joined<TypeList<>, typename TargetsOf<Parts>::Type...> {};
template <class... Alternatives>
struct TargetsOf<std::variant<Alternatives...>> : Joined<TypeList<>, typename TargetsOf<Alternatives>::Type...> {};
template <class Part>
struct TargetsOf<std::optional<Part>> : TargetsOf<Part> {};
template <class Part, class Allocator>
struct TargetsOf<std::vector<Part, Allocator>> : TargetsOf<Part> {};

/// Calls `use(event)` for each event in an upcaster's result.
template <class E, class Use>
void each_event(E& event, const Use& use)
{
    use(event);
}
template <class... Parts, class Use>
void each_event(std::tuple<Parts...>& events, const Use& use)
{
    std::apply([&](auto&... event) { (each_event(event, use), ...); }, events);
}
template <class... Alternatives, class Use>
void each_event(std::variant<Alternatives...>& events, const Use& use)
{
    std::visit([&](auto& event) { each_event(event, use); }, events);
}
template <class Part, class Use>
void each_event(std::optional<Part>& events, const Use& use)
{
    if (events) each_event(*events, use);
}
template <class Part, class Allocator, class Use>
void each_event(std::vector<Part, Allocator>& events, const Use& use)
{
    for (auto& event : events) each_event(event, use);
}

template <class Function>
struct UpcasterSignature {
    static_assert(sizeof(Function) == 0, "escqrs: an upcaster is a function of one event: New upcast(const Old& old)");
};
template <class Result, class Old>
struct UpcasterSignature<Result (*)(Old)> {
    using Source = std::remove_cvref_t<Old>;
    using Targets = typename TargetsOf<std::remove_cvref_t<Result>>::Type;
};
template <class Result, class Old>
struct UpcasterSignature<Result (*)(Old) noexcept> : UpcasterSignature<Result (*)(Old)> {};

/// What the library asks every rule of an `Evolution`, with the answer of most.
struct NoRule {
    using Sources = TypeList<>;
    using Targets = TypeList<>;
    using Renamed = TypeList<>;
    static constexpr std::string_view old_name{};
    static constexpr bool renames = false;
    static constexpr bool drops = false;
};

} // namespace detail

/// Rule of an `Evolution`: events of the type that `Function` takes become what it returns.
///
/// `Function` is a plain function of one old event. It returns an event, a `std::tuple` of events, or a `std::vector`,
/// `std::optional` or `std::variant` of them, nested at will. The old event keeps the name and version under which it
/// was stored, so the new one may have another name. What it returns may be old as well: upcasters are chained. It has
/// no side effect, depends on nothing but the old event, and throws `CodecError` if it cannot convert it.
template <auto Function>
struct Upcast : detail::NoRule {
    using Source = typename detail::UpcasterSignature<decltype(Function)>::Source; ///< the old event
    /// What an `Evolution` asks of each of its rules.
    using Sources = detail::TypeList<Source>;
    /// The events that the old one can become.
    using Targets = typename detail::UpcasterSignature<decltype(Function)>::Targets;

    /// Converts an event; throws what `Function` throws.
    static auto of(const Source& old) { return Function(old); }
};

/// Rule of an `Evolution`: `Event` was stored as `OldName` once, in the versions that its `serialize` reads.
template <FixedText OldName, class Event>
struct Rename : detail::NoRule {
    /// What an `Evolution` asks of each of its rules.
    /// @{
    using Targets = detail::TypeList<Event>;
    using Renamed = detail::TypeList<Event>;
    static constexpr std::string_view old_name = OldName.view();
    static constexpr bool renames = true;
    /// @}
};

/// Rule of an `Evolution`: events with this name are dropped, whatever their version. Their bytes are not looked at.
template <FixedText Name>
struct Drop : detail::NoRule {
    /// What an `Evolution` asks of each of its rules.
    /// @{
    static constexpr std::string_view old_name = Name.view();
    static constexpr bool drops = true;
    /// @}
};

namespace detail {

template <class Type>
constexpr SchemaRange own_range() noexcept
{
    return {event_name<Type>(), oldest_schema_version<Type>(), schema_version<Type>()};
}

/// Index of the next older range of the same name; `Count` if there is none.
template <std::size_t Count>
constexpr std::size_t older_range(const std::array<SchemaRange, Count>& ranges, const SchemaRange& range) noexcept
{
    std::size_t older = Count;
    for (std::size_t index = 0; index < Count; ++index) {
        const SchemaRange& other = ranges[index];
        const bool is_older = other.name == range.name && other.newest < range.newest;
        if (is_older && (older == Count || ranges[older].newest < other.newest)) older = index;
    }
    return older;
}

template <std::size_t Count>
constexpr bool has_gap(const std::array<SchemaRange, Count>& ranges) noexcept
{
    for (const SchemaRange& range : ranges) {
        const std::size_t older = older_range(ranges, range);
        if (older != Count && range.oldest > ranges[older].newest + 1) return true;
    }
    return false;
}

/// Leaves each range the versions that no older one reads.
template <std::size_t Count>
constexpr std::array<SchemaRange, Count> without_overlap(std::array<SchemaRange, Count> ranges) noexcept
{
    const auto all = ranges;
    for (SchemaRange& range : ranges) {
        const std::size_t older = older_range(all, range);
        if (older != Count) range.oldest = std::max(range.oldest, all[older].newest + 1);
    }
    return ranges;
}

/// True if one of the first `currents` ranges has the name of a later one that is not older.
template <std::size_t Count>
constexpr bool has_source_not_older(const std::array<SchemaRange, Count>& ranges, std::size_t currents) noexcept
{
    for (std::size_t current = 0; current < currents; ++current) {
        for (std::size_t source = currents; source < Count; ++source) {
            if (ranges[source].name == ranges[current].name && ranges[source].newest >= ranges[current].newest)
                return true;
        }
    }
    return false;
}

/// True if two of the ranges after the first `currents` end in one version of one name.
template <std::size_t Count>
constexpr bool has_rival_sources(const std::array<SchemaRange, Count>& ranges, std::size_t currents) noexcept
{
    for (std::size_t left = currents; left < Count; ++left) {
        for (std::size_t right = left + 1; right < Count; ++right) {
            if (ranges[left].name == ranges[right].name && ranges[left].newest == ranges[right].newest) return true;
        }
    }
    return false;
}

template <class From, class... To>
constexpr std::array<bool, sizeof...(To)> rules_that_go_on() noexcept
{
    return {[]<class... Sources>(TypeList<Sources...>) {
        return (From::Targets::template contains<Sources> || ...);
    }(typename To::Sources{})...};
}

template <class... Rules>
constexpr bool has_cycle() noexcept
{
    constexpr std::size_t count = sizeof...(Rules);
    std::array<std::array<bool, count>, count> leads{rules_that_go_on<Rules, Rules...>()...};
    for (std::size_t via = 0; via < count; ++via) {
        for (std::size_t from = 0; from < count; ++from) {
            for (std::size_t to = 0; to < count; ++to) leads[from][to] |= leads[from][via] && leads[via][to];
        }
    }
    for (std::size_t rule = 0; rule < count; ++rule) {
        if (leads[rule][rule]) return true;
    }
    return false;
}

} // namespace detail

template <class List, class... Rules>
struct Evolution;

/// The events of a list, and what those become that earlier releases have stored in other shapes. Pass it to a `Codec`
/// or to `CloudEvents` in place of the list.
///
/// Rules are `Upcast`, `Rename` and `Drop`. Bytes of version w are read by the type of their name with the smallest
/// schema version that is at least w: its `serialize` reads what lies between the next older type and itself, or from
/// `oldest_schema_version` on. Then upcasters follow one another until all events are of the list.
/// @par Complexity  an event that needs no upcaster costs what it costs without an Evolution
template <class... Events, class... Rules>
struct Evolution<EventList<Events...>, Rules...> {
    /// The events of the list, without older shapes.
    using Types = EventList<Events...>;
    /// The old events that the upcasters take.
    using Sources = typename detail::Joined<detail::TypeList<>, typename Rules::Sources...>::Type;
    /// Every type that reads bytes; the current ones first.
    using Registered = typename detail::Joined<detail::TypeList<Events...>, Sources>::Type;
    /// Those and, for each `Rename`, the type that reads the bytes of the old name.
    using Readers = typename detail::Joined<Registered, typename Rules::Renamed...>::Type;

    /// Versions that each of `Readers` could read.
    static constexpr auto declared_ranges = []<class... Known>(detail::TypeList<Known...>) {
        std::array ranges{detail::own_range<Known>()...};
        std::size_t next = ranges.size() - (std::size_t{0} + ... + std::size_t{Rules::renames});
        ((Rules::renames ? void(ranges[next++].name = Rules::old_name) : void()), ...);
        return ranges;
    }(Readers{});

    /// True if a `Drop` names events of this type.
    static constexpr bool drops(std::string_view type) noexcept
    {
        return ((Rules::drops && type == Rules::old_name) || ...);
    }

private:
    template <class... Targets>
    static constexpr bool are_registered(detail::TypeList<Targets...>) noexcept
    {
        return (Registered::template contains<Targets> && ...);
    }

    static constexpr bool drops_what_it_reads() noexcept
    {
        for (const detail::SchemaRange& range : declared_ranges) {
            if (drops(range.name)) return true;
        }
        return false;
    }

    static_assert((are_registered(typename Rules::Targets{}) && ...),
                  "escqrs: an upcaster or Rename leads to an event that is neither in the EventList nor the source of "
                  "another upcaster");
    static_assert(
        !detail::has_source_not_older(declared_ranges, sizeof...(Events)),
        "escqrs: the source of an upcaster (or a Rename) is not older than the current event of its name: raise "
        "the schema_version of the current one, or leave the old one its old name");
    static_assert(!detail::has_rival_sources(declared_ranges, sizeof...(Events)),
                  "escqrs: two upcasters (or Renames) start from one event name and schema version");
    static_assert(
        !detail::has_gap(declared_ranges),
        "escqrs: there is a schema version that nothing reads, between an event's oldest_schema_version and the "
        "next older event of its name: a step is missing in the chain of upcasters");
    static_assert(!detail::has_cycle<Rules...>(), "escqrs: upcasters lead in a circle");
    static_assert(!drops_what_it_reads(), "escqrs: Drop names an event that is read as well");
};

namespace detail {

template <class... Events, class... Rules>
struct Schema<Evolution<EventList<Events...>, Rules...>> {
    using Evolved = Evolution<EventList<Events...>, Rules...>;
    using Types = EventList<Events...>;
    using Event = std::variant<Events...>;
    using Objects = typename Evolved::Registered::template As<detail::Objects>;

    static constexpr auto ranges = without_overlap(Evolved::declared_ranges);

    template <std::size_t Index>
    using Reader = std::tuple_element_t<Index, typename Evolved::Readers::template As<std::tuple>>;

    template <class E>
    static constexpr bool reads = Evolved::Registered::template contains<E>;

    static constexpr bool drops(std::string_view type) noexcept { return Evolved::drops(type); }

    template <class E, class Visitor>
    static void upcast(E& event, Visitor& visit)
    {
        if constexpr (Types::template contains<E>) visit(event);
        else upcast_by<E, Visitor, Rules...>(event, visit);
    }

private:
    template <class E, class Visitor, class Rule, class... Others>
    static void upcast_by(const E& event, Visitor& visit)
    {
        if constexpr (Rule::Sources::template contains<E>) {
            auto upcasted = Rule::of(event);
            each_event(upcasted, [&](auto& next) { upcast(next, visit); });
        } else if constexpr (sizeof...(Others) > 0) upcast_by<E, Visitor, Others...>(event, visit);
    }
};

} // namespace detail
} // namespace escqrs::inline v0
