// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/takes_copy.hpp>
#include <escqrs/domain/decider.hpp>
#include <escqrs/testing/detail/outcome.hpp>
#include <escqrs/testing/detail/stored_form.hpp>
#include <escqrs/testing/expected_events.hpp>
#include <escqrs/testing/given_events.hpp>
#include <escqrs/testing/sequential_ids.hpp>

#include <functional>
#include <optional>
#include <source_location>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace escqrs::inline v0::testing {

namespace detail {

template <class T>
struct AggregateOf {
    using Type = T;
};
template <Decider T>
struct AggregateOf<T> {
    using Type = Decided<T>;
};

template <class Aggregate>
inline constexpr bool is_decided = false;
template <class D>
inline constexpr bool is_decided<Decided<D>> = true;

/// The command with its fields if it has a `serialize`, else its name.
template <class Command>
std::string command_text(const Command& command)
{
    if constexpr (archive::detail::kind_of<FieldArchive, Command>() == archive::detail::Kind::object) {
        return describe(command);
    } else return short_name<Command>();
}

/// An id that does not matter.
template <class Id>
Id some_id()
{
    if constexpr (std::is_constructible_v<Id, const Uuid&>) return Id{SequentialIds::nth(1)};
    else return Id{escqrs::to_string(SequentialIds::nth(1))};
}

template <class T>
concept UnderTest = Decider<T> || requires { typename T::EventTypes; };

} // namespace detail

/// An aggregate or decider with a history, to test actions on. Each `when` works on its own copy, so one `Given` may
/// serve many.
/// @par Thread safety  none: one thread at a time
template <class Aggregate>
class Given {
public:
    /// Without an aggregate: its creation was refused.
    explicit Given(std::optional<Aggregate> aggregate, std::vector<std::string> history = {})
        : aggregate_{std::move(aggregate)}, history_{std::move(history)}
    {
    }

    /// Adds to the history. An event takes its stored form on the way, so a field that its `serialize` forgets is
    /// missing here as it would be in production; one of an older shape is upcast.
    template <class E>
    void happened(const E& event)
    {
        constexpr bool is_read = CodecOf<Aggregate>::template reads<E>;
        static_assert(is_read,
                      "escqrs: a test speaks of something that is not an event of the aggregate or decider under test");
        if constexpr (is_read) {
            detail::read_as_stored<CodecOf<Aggregate>>(
                event, [&](const auto& current) { Access::replay(*aggregate_, current); });
        }
        const auto version = aggregate_->version().next();
        Access::mark_committed(*aggregate_, version, GlobalPosition{version.value()});
        history_.push_back(describe(event));
    }

    /// Runs `action`: a function of the aggregate, or a command of the decider.
    template <class Action>
    [[nodiscard]] Outcome<Aggregate> when(const Action& action,
                                          std::source_location where = std::source_location::current()) const
    {
        constexpr bool is_function = std::is_invocable_v<const Action&, Aggregate&>;
        static_assert(is_function || detail::is_decided<Aggregate>,
                      "escqrs: when() takes a function of the aggregate: [](Attendee& attendee) { ... }");
        static_assert(
            !is_function || !escqrs::detail::takes_copy<Action, Aggregate>(),
            "escqrs: when() takes a function of the aggregate by reference, [](Item& item) { ... }; what it does "
            "to a copy would be lost");
        if constexpr (is_function) {
            return Outcome<Aggregate>{{}, history_, where, aggregate(), [&](Aggregate& a) { std::invoke(action, a); }};
        } else if constexpr (detail::is_decided<Aggregate>) {
            return Outcome<Aggregate>{"when " + detail::command_text(action), history_, where, aggregate(),
                                      [&](Aggregate& a) { a.decide(action); }};
        }
    }

    /// The aggregate after the history, before any `when`.
    /// @throws std::logic_error if the history's creation was refused
    const Aggregate& aggregate() const
    {
        if (!aggregate_) throw std::logic_error{"there is no aggregate: its creation was refused"};
        return *aggregate_;
    }

private:
    std::optional<Aggregate> aggregate_;
    std::vector<std::string> history_;
};

/// The aggregate of type `T`, or that of the decider `T`, with an id and the events that have happened to it.
template <class T, class... Events>
auto given(const typename detail::AggregateOf<T>::Type::Id& id, const Events&... events)
{
    using Aggregate = typename detail::AggregateOf<T>::Type;
    Given<Aggregate> given{Aggregate{id}};
    (given.happened(events), ...);
    return given;
}

/// Likewise, with an id that does not matter: `SequentialIds::nth(1)`, or its text.
template <class T, class... Events>
    requires(detail::UnderTest<T> && (!std::is_same_v<Events, typename detail::AggregateOf<T>::Type::Id> && ...))
auto given(const Events&... events)
{
    using Id = typename detail::AggregateOf<T>::Type::Id;
    return given<T>(detail::some_id<Id>(), events...);
}

/// Runs `create`, which returns a new aggregate: `when([&] { return Attendee::register_with(id, email); })`.
template <class Create>
[[nodiscard]] auto when(const Create& create, std::source_location where = std::source_location::current())
{
    using Aggregate = std::remove_cvref_t<std::invoke_result_t<const Create&>>;
    return Outcome<Aggregate>{{}, {}, where, create};
}

} // namespace escqrs::inline v0::testing
