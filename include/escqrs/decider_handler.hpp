// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/command_bus.hpp>
#include <escqrs/decider.hpp>
#include <escqrs/repository.hpp>

#include <algorithm>
#include <functional>
#include <utility>

namespace escqrs {

/// Lets a decider decide a command and saves what happened; decides again after a conflict.
///
/// A stream that does not exist yet is a decider in its initial state. A command id that was stored before returns the
/// first result.
/// @param deciders  a `Repository<Decided<D>, ...>`
/// @throws ConcurrencyError when the retry policy is exhausted; what `decide` throws
template <class Deciders, class Id, class Command>
CommitResult decide_and_save(const Deciders& deciders, const Id& id, const Command& command,
                             const Metadata& metadata = no_metadata, const RetryPolicy& retry = {},
                             Clock& clock = system_clock())
{
    Duration delay{};
    for (unsigned attempt = 1;; ++attempt) {
        // A repeated command must not be decided again: its own first effect may forbid it.
        if (auto before = deciders.find_commit(metadata.command_id)) return *std::move(before);
        auto decided = deciders.find(id);
        if (!decided) decided.emplace(id);
        decided->decide(command);
        try {
            return deciders.save(*decided, metadata);
        } catch (const ConcurrencyError&) {
            if (attempt >= retry.attempts) throw;
        }
        sleep_for(clock, delay, {});
        delay = std::min(std::max(2 * delay, retry.delay), retry.max_delay);
    }
}

/// The handler of a command that a decider decides, for `CommandBus::handle`.
/// @param deciders  a `Repository<Decided<D>, ...>`; must outlive the bus
/// @param id        tells the decider's id from the command: a member of it, or a function
template <class Command, class Deciders, class IdOf>
auto decided_by(const Deciders& deciders, IdOf id, RetryPolicy retry = {}, Clock& clock = system_clock())
{
    return on<Command>(
        [&deciders, id = std::move(id), retry, &clock](const Command& command, const Metadata& metadata) {
            return decide_and_save(deciders, std::invoke(id, command), command, metadata, retry, clock);
        });
}

/// Likewise, where the member tells the command, too: `bus.handle(decided_by(lendings, &LendBook::book_id));`
template <class Deciders, class Command, class Id>
auto decided_by(const Deciders& deciders, Id Command::*id, RetryPolicy retry = {}, Clock& clock = system_clock())
{
    return decided_by<Command, Deciders, Id Command::*>(deciders, id, retry, clock);
}

} // namespace escqrs
