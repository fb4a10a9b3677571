// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/domain/aggregate_root.hpp>
#include <escqrs/domain/event.hpp>

#include <concepts>
#include <cstddef>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

namespace escqrs::inline v0 {

/// An aggregate in functional form: values and pure functions, no object that changes.
/// ```
/// struct Lending {
///     static constexpr std::string_view category = "lending";
///     struct State { std::string reader; };
///     using Events = escqrs::EventList<BookLent, BookReturned>;
///
///     static State initial();
///     static BookLent decide(const LendBook&, const State&);        // for each command; throws to refuse
///     static std::optional<BookReturned> decide(const ReturnBook&, const State&);
///     static State evolve(State, const BookLent&);                  // for each event; refuses nothing
///     static State evolve(State, const BookReturned&);
/// };
/// ```
/// `decide` returns the events that happen: one event of the list, a `std::optional` or a `std::variant` of events, a
/// container or a `std::tuple` of several in their order, or nothing (`void`, `std::monostate`).
///
/// Its ids are UUIDs, `DeciderId<Lending>`, unless it names another type: `using Id = escqrs::TextId<Lending>;`
template <class D>
concept Decider = requires {
    { D::category } -> std::convertible_to<std::string_view>;
    typename D::State;
    typename D::Events;
    { D::initial() } -> std::convertible_to<typename D::State>;
};

/// True if `D` decides commands of this type.
template <class D, class Command>
concept Decides =
    Decider<D> && requires(const Command& command, const typename D::State& state) { D::decide(command, state); };

/// True if `D` has an `evolve` for events of this type.
template <class D, class E>
concept Evolves = Decider<D> && requires(typename D::State state, const E& event) {
    { D::evolve(std::move(state), event) } -> std::convertible_to<typename D::State>;
};

template <class D>
class Decided;

namespace detail {

/// Says what a decider lacks, one sentence for each member.
template <class D>
struct CheckedDecider {
    static_assert(
        requires { D::category; },
        "escqrs: this decider has no category; add to it: static constexpr std::string_view category = \"...\";");
    static_assert(
        requires { typename D::State; }, "escqrs: this decider has no State; add to it: struct State { ... };");
    static_assert(
        requires { typename D::Events; },
        "escqrs: this decider has no Events; add to it: using Events = escqrs::EventList<...>;");
    static_assert(
        requires { D::initial(); }, "escqrs: this decider has no initial; add to it: static State initial();");

    using Events = typename ListOf<typename D::Events>::Type;
};

template <class D, class E>
constexpr bool require_evolve() noexcept
{
    static_assert(
        Evolves<D, E>,
        "escqrs: this decider has no static State evolve(State, const E&) for an event E of its Events; add it");
    return true;
}

/// The id that a decider names as its `Id`; of one that names none, a UUID.
template <class D>
struct DecidedId {
    using Type = Id<Decided<D>>;
};
template <class D>
    requires requires { typename D::Id; }
struct DecidedId<D> {
    using Type = typename D::Id;
    static_assert(is_id<Type>, "escqrs: the Id of this decider is neither an escqrs::Id nor an escqrs::TextId");
};

template <class D, class Events>
struct DecidedBase;
template <class D, class... Events>
struct DecidedBase<D, EventList<Events...>> {
    static_assert(EventList<Events...>::size > 0, "escqrs: a decider has at least one event");
    static_assert((require_evolve<D, Events>() && ...));
    using List = EventList<Events...>;
    using Type = AggregateRoot<Decided<D>, typename DecidedId<D>::Type, Events...>;
};

template <class D>
using CheckedEvents = typename DecidedBase<D, typename CheckedDecider<D>::Events>::List;
template <class D>
using DecidedRoot = typename DecidedBase<D, typename CheckedDecider<D>::Events>::Type;

/// Passes on the decider's snapshot_version, if it names one.
template <class D>
struct DecidedSnapshots {};
template <class D>
    requires requires { D::snapshot_version; }
struct DecidedSnapshots<D> {
    static constexpr unsigned snapshot_version = D::snapshot_version;
};

/// Passes on the decider's Codec, if it names one.
template <class D>
struct DecidedCodec {};
template <class D>
    requires requires { typename D::Codec; }
struct DecidedCodec<D> {
    using Codec = typename D::Codec;
};

/// A sequence: a vector, a list, an array.
template <class Outcome>
concept EventRange = requires(Outcome& outcome) {
    outcome.begin() != outcome.end();
    ++std::declval<decltype(outcome.begin())&>();
    *outcome.begin();
};

template <class Outcome>
concept EventOptional = requires(Outcome& outcome) {
    { outcome.has_value() } -> std::same_as<bool>;
    *outcome;
} && !requires(Outcome& outcome) { outcome.error(); }; // an error is a refusal, not "no event"

template <class Outcome>
inline constexpr bool is_variant = false;
template <class... Alternatives>
inline constexpr bool is_variant<std::variant<Alternatives...>> = true;

template <class Outcome>
concept EventTuple = requires { std::tuple_size<Outcome>::value; };

} // namespace detail

/// The aggregate made from a decider: a `Repository<Decided<Lending>>` loads and saves it like any other.
///
/// A stream that does not exist is a decider in its initial state, so `Decided` begins there, and so do the command
/// handlers that `decided_by` (decider_handler.hpp) makes.
///
/// It has snapshots (see `HasSnapshots`) if the decider names a `snapshot_version`; its `State` is then stored, and
/// must be storable.
/// @par Thread safety  none: one thread at a time
template <class D>
class Decided final : public detail::DecidedRoot<D>,
                      public detail::DecidedSnapshots<D>,
                      public detail::DecidedCodec<D> {
    using Root = detail::DecidedRoot<D>;

public:
    using State = typename D::State;   ///< as the decider defines it
    using Events = typename D::Events; ///< as the decider lists them
    using typename Root::EventTypes;
    using typename Root::Id;

    static constexpr std::string_view category = D::category; ///< the decider's

    /// Begins in the decider's initial state, at version 0.
    explicit Decided(const Id& id) : Root{id}, state_{D::initial()} {}

    const State& state() const noexcept { return state_; } ///< after all events, uncommitted ones too

    /// Raises the events that the decider returns for a command.
    /// @throws what the decider's `decide` throws; nothing is raised then
    template <class Command>
    void decide(const Command& command)
    {
        static_assert(Decides<D, Command>,
                      "escqrs: this decider has no static decide(const Command&, const State&) for this command");
        if constexpr (Decides<D, Command>) {
            using Outcome = decltype(D::decide(command, std::as_const(state_)));
            if constexpr (std::is_void_v<Outcome>) D::decide(command, std::as_const(state_));
            else raise_all(std::remove_cvref_t<Outcome>(D::decide(command, std::as_const(state_))));
        }
    }

private:
    friend Access;

    template <class E>
        requires Evolves<D, E>
    void apply(const E& event)
    {
        state_ = D::evolve(std::move(state_), event);
    }

    template <class Archive>
        requires requires { D::snapshot_version; }
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & state_;
    }

    template <class Outcome>
    void raise_all(Outcome&& outcome);

    State state_;
};

/// Id of a decider's stream, for commands: `Lending` need only be declared. For a decider that names no `Id`.
template <class D>
using DeciderId = Id<Decided<D>>;

template <class D>
template <class Outcome>
void Decided<D>::raise_all(Outcome&& outcome)
{
    using Plain = std::remove_cvref_t<Outcome>;
    if constexpr (EventTypes::template contains<Plain>) this->raise(std::forward<Outcome>(outcome));
    else if constexpr (std::is_same_v<Plain, std::monostate>) return;
    else if constexpr (detail::is_variant<Plain>) {
        std::visit([&](auto& event) { raise_all(std::move(event)); }, outcome);
    } else if constexpr (detail::EventRange<Plain>) {
        for (auto& event : outcome) raise_all(std::move(event));
    } else if constexpr (detail::EventOptional<Plain>) {
        if (outcome.has_value()) raise_all(*std::forward<Outcome>(outcome));
    } else if constexpr (detail::EventTuple<Plain>) {
        std::apply([&](auto&... events) { (raise_all(std::move(events)), ...); }, outcome);
    } else {
        static_assert(
            EventTypes::template contains<Plain>,
            "escqrs: decide() returned something that is not an event of the decider's Events, nor a std::optional, "
            "std::variant, std::tuple or container of such events");
    }
}

namespace detail {

template <class... Rules>
struct RuleList;

template <class Events>
struct RulesOf {
    using Type = RuleList<>;
};
template <class List, class... Rules>
struct RulesOf<Evolution<List, Rules...>> {
    using Type = RuleList<Rules...>;
};

/// A list, or the `Evolution` that rules make of it.
template <class List, class... RuleLists>
struct WithRules;
template <class List>
struct WithRules<List, RuleList<>> {
    using Type = List;
};
template <class List, class... Rules>
struct WithRules<List, RuleList<Rules...>> {
    using Type = Evolution<List, Rules...>;
};
template <class List, class... First, class... Second, class... Rest>
struct WithRules<List, RuleList<First...>, RuleList<Second...>, Rest...>
    : WithRules<List, RuleList<First..., Second...>, Rest...> {};

/// Index of the first true; the number of values if there is none.
template <class... Booleans>
constexpr std::size_t index_of_true(Booleans... booleans) noexcept
{
    std::size_t index = 0;
    (void)((booleans || (++index, false)) || ...);
    return index;
}

} // namespace detail

namespace detail {

/// Passes on the Id that all parts of a composition name.
template <class First, class... Parts>
struct ComposedId {};
template <class First, class... Parts>
    requires(requires { typename First::Id; } && (std::is_same_v<typename First::Id, typename Parts::Id> && ...))
struct ComposedId<First, Parts...> {
    using Id = typename First::Id;
};

} // namespace detail

/// Several deciders as one: a command goes to the part that decides it, an event to the part that lists it, and each
/// part sees its own state only. The events of all parts are in one stream, of the category that the composition names;
/// its id is also that of its parts, so `decided_by` takes their commands unchanged. Parts that name an `Id` all name the
/// same one.
/// `struct Desk : escqrs::Compose<Lending, Waiting> { static constexpr std::string_view category = "desk"; };`
template <class... Parts>
struct Compose : detail::ComposedId<Parts...> {
    static_assert(sizeof...(Parts) > 0, "escqrs: a composition has at least one decider");

    /// One state for each part, in the order of the parts.
    using State = std::tuple<typename Parts::State...>;
    /// The events of all parts, with the rules of those that list an `Evolution`.
    using Events =
        typename detail::WithRules<typename detail::Joined<EventList<>, detail::CheckedEvents<Parts>...>::Type,
                                   typename detail::RulesOf<typename Parts::Events>::Type...>::Type;

    /// True if `P` is one of the parts.
    template <class P>
    static constexpr bool has_part = (std::is_same_v<P, Parts> || ...);

    /// The initial states of all parts.
    static State initial() { return State{Parts::initial()...}; }

    /// Passes the command and the part's state to the one part that decides it.
    template <class Command>
        requires(Decides<Parts, Command> || ...)
    static auto decide(const Command& command, const State& state)
    {
        static_assert((std::size_t{0} + ... + std::size_t{Decides<Parts, Command>}) == 1,
                      "escqrs: two parts of this composition decide the same command; a command has one decider");
        constexpr std::size_t index = detail::index_of_true(Decides<Parts, Command>...);
        return Part<index>::decide(command, std::get<index>(state));
    }

    /// Passes the event to the part that lists it; the states of the others stay as they are.
    template <class E>
        requires(detail::CheckedEvents<Parts>::template contains<E> || ...)
    static State evolve(State state, const E& event)
    {
        constexpr std::size_t index = detail::index_of_true(detail::CheckedEvents<Parts>::template contains<E>...);
        auto& part = std::get<index>(state);
        part = Part<index>::evolve(std::move(part), event);
        return state;
    }

    /// One part's state within the state of all: `Desk::state_of<Waiting>(desk.state())`.
    template <class P>
    static const typename P::State& state_of(const State& state) noexcept
    {
        static_assert(has_part<P>, "escqrs: this decider is no part of the composition");
        return std::get<detail::index_of_true(std::is_same_v<P, Parts>...)>(state);
    }

private:
    template <std::size_t Index>
    using Part = std::tuple_element_t<Index, std::tuple<Parts...>>;
};

} // namespace escqrs::inline v0
