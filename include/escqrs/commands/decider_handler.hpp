// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/commands/command_bus.hpp>
#include <escqrs/commands/repository.hpp>
#include <escqrs/domain/decider.hpp>

#include <functional>
#include <type_traits>
#include <utility>

namespace escqrs::inline v0 {

namespace detail {

template <class Id, class Given>
inline constexpr bool is_id_of_part = false;
template <class D, class Part>
    requires(D::template has_part<Part>)
inline constexpr bool is_id_of_part<DeciderId<D>, DeciderId<Part>> = true;

/// The decider's id from a command's: the same, or that of a part of a composition.
template <class Id, class Given>
Id decider_id(const Given& given)
{
    static_assert(
        std::is_same_v<Id, Given> || is_id_of_part<Id, Given>,
        "escqrs: this command speaks of another decider: its id is neither a DeciderId of the repository's decider, "
        "nor of a part of it; give decided_by a function that tells the id");
    return Id{given.value()};
}

struct AtAnyVersion {
    template <class Command>
    ExpectedVersion operator()(const Command&) const noexcept
    {
        return ExpectedVersion::any();
    }
};

template <class Command, class Deciders, class IdOf, class ExpectedOf>
struct DecidingHandler {
    CommitResult operator()(const Command& command, const CommandContext& context) const
    {
        return deciders->execute_or_begin(
            id(command), std::invoke(expected_of, command), [&](auto& decided) { decided.decide(command); }, context);
    }

    StreamId stream_of(const Command& command) const { return Deciders::stream_of(id(command)); }

    typename Deciders::Id id(const Command& command) const
    {
        return decider_id<typename Deciders::Id>(std::invoke(id_of, command));
    }

    const Deciders* deciders;
    IdOf id_of;
    ExpectedOf expected_of;
};

} // namespace detail

/// The handler of a decider's command, for `CommandBus::handle`: loads, decides and saves, and repeats that after a
/// conflict (`Repository::execute_or_begin`).
///
/// A stream that does not exist yet is a decider in its initial state.
/// @param deciders  a `Repository<Decided<D>, ...>`; must outlive the bus
/// @param id        where the command has the decider's id: a member, or a function; the id of a part serves for a
///                  composition
/// @param expected  where it has the `ExpectedVersion` that it requires, if it has one; of a stream at another version
///                  the sender gets a `PreconditionFailed`
template <class Command, class Deciders, class IdOf, class ExpectedOf = detail::AtAnyVersion>
auto decided_by(const Deciders& deciders, IdOf id, ExpectedOf expected = {})
{
    using Handler = detail::DecidingHandler<Command, Deciders, IdOf, ExpectedOf>;
    return on<Command>(Handler{&deciders, std::move(id), std::move(expected)});
}

/// The same, with the command deduced from the member: `bus.handle(decided_by(lendings, &LendBook::book_id));`
template <class Deciders, class Command, class Id, class ExpectedOf = detail::AtAnyVersion>
auto decided_by(const Deciders& deciders, Id Command::*id, ExpectedOf expected = {})
{
    return decided_by<Command, Deciders, Id Command::*, ExpectedOf>(deciders, id, std::move(expected));
}

} // namespace escqrs::inline v0
