// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/commands/commit_result.hpp>
#include <escqrs/core/error.hpp>
#include <escqrs/core/id_generator.hpp>
#include <escqrs/core/identifiers.hpp>
#include <escqrs/domain/access.hpp>
#include <escqrs/store/event_store.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <utility>

namespace escqrs::inline v0::detail {

/// Id of event number `index` of a command, the same whenever the command is carried out.
inline EventId event_id_of(const CommandId& command, std::size_t index)
{
    return EventId{name_based_uuid(command.value(), std::to_string(index))};
}

/// Finds the append that stored a command's events, in any stream, by one `locate` and one read of that stream.
template <class Store>
std::optional<CommitResult> find_commit(Store& store, const CommandId& command)
{
    if (command.is_nil()) return std::nullopt;
    auto first = store.locate(event_id_of(command, 0));
    if (!first) return std::nullopt;
    CommitResult commit{std::move(first->stream), first->version, first->position, true};
    std::size_t index = 0;
    store.read_stream(commit.stream, commit.version.next(), [&](const RecordedEvent& event) {
        if (event.id != event_id_of(command, ++index)) return false;
        commit.version = event.version;
        commit.position = event.position;
        return true;
    });
    return commit;
}

/// The same, in one stream.
/// @throws CommandIdRefused if the command has stored events in another one
template <class Store>
std::optional<CommitResult> find_commit_in(Store& store, const StreamId& stream, const CommandId& command)
{
    auto found = find_commit(store, command);
    if (found && found->stream != stream)
        throw CommandIdRefused{command, stream, std::move(found->stream), found->version};
    return found;
}

/// Gives each uncommitted event its id: of the command, or a new one.
/// @return false if it cannot be a repeat: events were raised after a save of those before them had failed
template <class Aggregate>
bool assign_ids(const StreamId& stream, Aggregate& aggregate, const CommandId& command, const IdGenerator& new_id)
{
    auto& ids = Access::uncommitted_ids(aggregate);
    const std::size_t count = aggregate.uncommitted_events().size();
    const bool may_be_repeat = ids.empty() || ids.size() == count;
    const bool is_others = !ids.empty() && !command.is_nil() && ids.front() != event_id_of(command, 0);
    if (is_others) throw CommandIdRefused{command, stream};
    ids.reserve(count);
    while (ids.size() < count) {
        ids.push_back(command.is_nil() ? EventId{new_id()} : event_id_of(command, ids.size()));
    }
    return may_be_repeat;
}

/// Whether the last of `events` is stored as the event at which `commit` ends, and the others directly before it, each
/// with the contents given here.
template <class Store>
bool is_stored_as(Store& store, const CommitResult& commit, std::span<const NewEvent> events)
{
    std::size_t equal = 0;
    const StreamVersion from{commit.version.value() - events.size() + 1};
    store.read_stream(commit.stream, from, [&](const RecordedEvent& stored) {
        const NewEvent& given = events[equal];
        const bool is_it = stored.id == given.id && stored.type == given.type &&
                           stored.schema_version == given.schema_version && stored.content_type == given.content_type &&
                           std::ranges::equal(stored.payload, given.payload);
        return is_it && ++equal < events.size();
    });
    return equal == events.size();
}

} // namespace escqrs::inline v0::detail
