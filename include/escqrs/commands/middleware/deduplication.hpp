// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/commands/command_info.hpp>
#include <escqrs/config.hpp>
#include <escqrs/core/clock.hpp>
#include <escqrs/core/error.hpp>
#include <escqrs/core/stop_token.hpp>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace escqrs::inline v0 {

/// Finds what a command has stored, if anything. A `Repository` models it, for all aggregates in its store.
template <class Commits>
concept CommitFinder = requires(const Commits& commits, const CommandId& command) {
    { commits.find_commit(command) } -> std::convertible_to<std::optional<CommitResult>>;
};

namespace detail {

/// The commands that are being handled, each with the thread that handles it.
class CommandsUnderWay {
public:
    /// A command's place among them. Its destructor gives the place up and lets the next command with the same id
    /// continue.
    class Place {
    public:
        explicit Place(CommandsUnderWay& commands) noexcept : commands_{commands} {}
        Place(const Place&) = delete;
        Place& operator=(const Place&) = delete;
        ~Place()
        {
            if (!taken_) return;
            {
                const std::scoped_lock lock{commands_.mutex_};
                auto& all = commands_.commands_;
                const auto own = std::ranges::find_if(all, [&](const Command& each) { return each.is(id_, name_); });
                *own = all.back();
                all.pop_back();
            }
            commands_.ended_.notify_all();
        }

        /// Waits until no other thread handles a command of this name and id.
        /// @return false if this thread itself handles one with this id, further out
        /// @throws CommandCancelled, CommandDeadlineExceeded
        bool take(const CommandInfo& command, Clock& clock);

    private:
        CommandsUnderWay& commands_;
        CommandId id_;
        std::string_view name_;
        bool taken_ = false;
    };

private:
    struct Command {
        CommandId id;
        std::string_view name;
        std::thread::id thread;

        bool is(const CommandId& other_id, std::string_view other_name) const noexcept
        {
            return id == other_id && name == other_name;
        }
    };

    std::mutex mutex_;
    condition_variable_any ended_;
    std::vector<Command> commands_; ///< few: no more than there are threads
};

#if ESCQRS_HAS_BODIES

ESCQRS_INLINE bool CommandsUnderWay::Place::take(const CommandInfo& command, Clock& clock)
{
    auto& all = commands_.commands_;
    const auto self = std::this_thread::get_id();
    id_ = command.metadata.command_id;
    name_ = command.name;
    std::unique_lock lock{commands_.mutex_};
    const auto is_further_out = [&](const Command& each) { return each.id == id_ && each.thread == self; };
    if (std::ranges::any_of(all, is_further_out)) return false;
    const auto has_ended = [&] {
        return std::ranges::none_of(all, [&](const Command& each) { return each.is(id_, name_); });
    };
    const Duration at_most = time_until(command.deadline, clock.now());
    if (!has_ended() && !clock.wait_for(lock, commands_.ended_, at_most, command.stop, has_ended)) {
        if (command.stop.stop_requested()) throw CommandCancelled{std::string{command.name}};
        throw CommandDeadlineExceeded{std::string{command.name}};
    }
    all.push_back({id_, name_, self});
    taken_ = true;
    return true;
}

#endif // ESCQRS_HAS_BODIES

} // namespace detail

/// A middleware that gives a command with an id its effect once.
///
/// What identifies a repeat is stored in the same append as the events: a repository derives their ids from the
/// command's. So a repeat is recognised after a restart and by other processes, and nothing needs to be kept or cleaned
/// up outside the log. A repeat gets the first result, and its handler is not called again; one that comes while the
/// first is being handled in this process waits for it. If the first try stored nothing, because it was refused, failed
/// or changed nothing, the handler is called again.
///
/// Applies to commands with a command id whose result is `CommitResult`; others pass. What a handler sends with the
/// same command id, from the same thread, passes too. The log is asked once for each command: in the metadata that
/// reaches the handler, `new_command` tells the repository that it need not ask again.
///
/// A repeat is recognised by its command id. If its handler names the stream that the command changes, as `decided_by`
/// does, and the id has changed another one, the command is refused.
/// @param commits  the handlers' repository, or another on the same store; must outlive the bus
/// @param clock    waits for a command under way; must outlive the bus
/// @throws CommandCancelled, CommandDeadlineExceeded  from `send`, if that ends the wait for a command under way
/// @throws CommandIdRefused  from `send`, if the command id has changed another stream
template <CommitFinder Commits>
CommandMiddleware deduplication(const Commits& commits, Clock& clock = system_clock())
{
    return [&commits, &clock, under_way = std::make_shared<detail::CommandsUnderWay>()](const CommandInfo& command,
                                                                                        NextHandler next) {
        auto* const result = command.result<CommitResult>();
        if (result == nullptr || command.metadata.command_id.is_nil()) return next();
        detail::CommandsUnderWay::Place place{*under_way};
        if (!place.take(command, clock)) return next();
        const CommandId& id = command.metadata.command_id;
        if (std::optional<CommitResult> first = commits.find_commit(id)) {
            if (auto stream = command.stream(); stream && *stream != first->stream)
                throw CommandIdRefused{id, *std::move(stream), std::move(first->stream), first->version};
            *result = std::move(first);
            return;
        }
        Metadata metadata = command.metadata;
        metadata.new_command = id;
        next(metadata);
    };
}

} // namespace escqrs::inline v0
