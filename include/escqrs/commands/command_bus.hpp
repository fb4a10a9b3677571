// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/commands/command_info.hpp>
#include <escqrs/core/clock.hpp>
#include <escqrs/core/error.hpp>
#include <escqrs/core/type_identity.hpp>

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace escqrs::inline v0 {

/// A command's handler, paired with the command: `on<RegisterAttendee>(handler)`.
template <class Command, class Handler>
struct CommandHandler {
    Handler handler; ///< called with the command, or with it and its `CommandContext`
};

/// Pairs a copy of `handler` with the command that it handles.
template <class Command, class Handler>
CommandHandler<Command, std::decay_t<Handler>> on(Handler&& handler)
{
    return {std::forward<Handler>(handler)};
}

namespace detail {

template <class Handler, class StreamOf>
struct TargetedHandler {
    template <class Command, class... Context>
        requires std::invocable<Handler&, const Command&, const Context&...>
    auto operator()(const Command& command, const Context&... context)
    {
        return handler(command, context...);
    }

    template <class Command>
    StreamId stream_of(const Command& command) const
    {
        return std::invoke(names_stream, command);
    }

    Handler handler;
    StreamOf names_stream;
};

} // namespace detail

/// A handler that also names the stream that a command changes: `stream_of(command)`. Deduplication then refuses a
/// command id that has changed another stream, instead of taking the command for a repeat.
template <class Command, class Handler, class StreamOf>
auto on(Handler&& handler, StreamOf&& stream_of)
{
    using Targeted = detail::TargetedHandler<std::decay_t<Handler>, std::decay_t<StreamOf>>;
    return CommandHandler<Command, Targeted>{{std::forward<Handler>(handler), std::forward<StreamOf>(stream_of)}};
}

/// Brings each command to its one handler.
///
/// A handler is called as `handler(const Command&, const Metadata&)`, `handler(const Command&, const CommandContext&)`
/// or `handler(const Command&)`.
/// @par Thread safety  register first; `send` may then be called from any thread, as the handlers allow
class CommandBus {
public:
    CommandBus() = default;

    /// @param clock  of the deadlines; must outlive the bus
    explicit CommandBus(Clock& clock) noexcept : clock_{&clock} {}

    /// Registers handlers. Two for one command in one call do not compile.
    /// @throws DuplicateHandler if a command already has a handler; those before it stay registered
    template <class... Commands, class... Handlers>
    void handle(CommandHandler<Commands, Handlers>... handlers);

    /// Registers the handler of one command.
    template <class Command, class Handler>
    void handle(Handler&& handler)
    {
        add<Command, std::decay_t<Handler>>(std::forward<Handler>(handler));
    }

    /// Adds a middleware around all handlers; the first one added is the outermost.
    void use(CommandMiddleware middleware) { middlewares_.push_back(std::move(middleware)); }

    /// Says what a middleware looks like.
    template <class Other>
        requires(!std::is_convertible_v<Other, CommandMiddleware>)
    void use(Other&& /*middleware*/)
    {
        static_assert(
            sizeof(Other) == 0,
            "escqrs: a middleware is called with (const CommandInfo& command, NextHandler next), for commands of "
            "every type; command.as<Command>() is the command itself, or null if it is another one");
    }

    /// Calls the command's handler and returns what it returns.
    /// @throws HandlerNotFound if it has none; whatever the handler or a middleware throws
    template <class Command>
    CommandResult<Command> send(const Command& command, const Metadata& metadata = no_metadata) const;

    /// The same, if the handler may still begin when its turn has come.
    /// @throws CommandCancelled, CommandDeadlineExceeded if not
    template <class Command>
    CommandResult<Command> send(const Command& command, const Metadata& metadata, const SendOptions& options) const;

private:
    using AnyFunction = void (*)();

    struct Entry {
        std::shared_ptr<void> handler;
        AnyFunction call = nullptr; ///< really a Call<Command>
        detail::TargetStream target{};
    };

    template <class Command>
    using Call = CommandResult<Command> (*)(void* handler, const Command&, const Metadata&, const SendOptions&);

    template <class Command, class Handler>
    void add(Handler handler);

    template <class Command>
    const Entry& entry_of() const
    {
        const Entry* const entry = entries_.find(detail::type_identity<Command>());
        if (entry == nullptr) fail_without_handler(detail::type_name<Command>());
        return *entry;
    }

    [[noreturn, gnu::cold, gnu::noinline]] static void fail_without_handler(std::string_view command)
    {
        throw HandlerNotFound{std::string{command}};
    }

    template <class Command>
    CommandResult<Command> send_through(const Entry& entry, const Command&, const Metadata&, const SendOptions&) const;

    /// Runs the middlewares around `call`, which leaves its result in `result`.
    /// @throws Error if none of them called it or left a result, and no exception says why
    template <class Result>
    void run_around(const CommandInfo& command, const SendOptions& options, FunctionRef<Result(const Metadata&)> call,
                    std::optional<detail::ResultValue<Result>>& result) const;

    void run_middleware(std::size_t index, const CommandInfo& command,
                        FunctionRef<void(const CommandInfo&)> innermost) const
    {
        if (index == middlewares_.size()) return innermost(command);
        const auto rest = [&](const CommandInfo& onwards) { run_middleware(index + 1, onwards, innermost); };
        middlewares_[index](command, NextHandler{command, rest});
    }

    void check_may_begin(std::string_view name, const SendOptions& options) const
    {
        if (options.stop.stop_requested()) throw CommandCancelled{std::string{name}};
        if (options.deadline != Timestamp::max() && clock_->now() >= options.deadline)
            throw CommandDeadlineExceeded{std::string{name}};
    }

    Clock* clock_ = &system_clock();
    detail::TypeTable<Entry> entries_; ///< by type of command
    std::vector<CommandMiddleware> middlewares_;
};

namespace detail {

template <class Command, class... Commands>
inline constexpr std::size_t occurrences = (std::size_t{0} + ... + std::size_t{std::is_same_v<Command, Commands>});

} // namespace detail

template <class... Commands, class... Handlers>
void CommandBus::handle(CommandHandler<Commands, Handlers>... handlers)
{
    static_assert(((detail::occurrences<Commands, Commands...> == 1) && ...),
                  "escqrs: two handlers for one command; a command has exactly one handler");
    (add<Commands>(std::move(handlers.handler)), ...);
}

template <class Command, class Handler>
void CommandBus::add(Handler handler)
{
    using Result = CommandResult<Command>;
    constexpr bool with_metadata = std::is_invocable_r_v<Result, Handler&, const Command&, const Metadata&>;
    constexpr bool with_context = std::is_invocable_r_v<Result, Handler&, const Command&, const CommandContext&>;
    constexpr bool without = std::is_invocable_r_v<Result, Handler&, const Command&>;
    static_assert(with_metadata || with_context || without,
                  "escqrs: a command handler is called with (const Command&, const Metadata&), (const Command&, const "
                  "CommandContext&) or (const Command&) and returns Command::Result, or escqrs::CommitResult if the "
                  "command names no Result");
    if constexpr (with_metadata || with_context || without) {
        if (entries_.find(detail::type_identity<Command>()) != nullptr)
            throw DuplicateHandler{std::string{detail::type_name<Command>()}};
        const Call<Command> call = [](void* object, const Command& command, const Metadata& metadata,
                                      [[maybe_unused]] const SendOptions& options) -> Result {
            Handler& function = *static_cast<Handler*>(object);
            if constexpr (with_metadata) return function(command, metadata);
            else if constexpr (with_context)
                return function(command, CommandContext{metadata, options.stop, options.deadline});
            else return function(command);
        };
        Entry entry;
        // One type of deleter serves all handlers; `make_shared` would be 60 functions more for each.
        void (*const destroy)(void*) = [](void* object) { delete static_cast<Handler*>(object); };
        entry.handler = std::shared_ptr<void>{static_cast<void*>(new Handler(std::move(handler))), destroy};
        entry.call = reinterpret_cast<AnyFunction>(call); // NOLINT: cast back to Call<Command> by send
        if constexpr (requires(const Handler& named, const Command& command) {
                          { named.stream_of(command) } -> std::same_as<StreamId>;
                      }) {
            entry.target = {entry.handler.get(), [](const void* object, const void* command) {
                                return static_cast<const Handler*>(object)->stream_of(
                                    *static_cast<const Command*>(command));
                            }};
        }
        entries_[detail::type_identity<Command>()] = std::move(entry);
    }
}

template <class Command>
CommandResult<Command> CommandBus::send(const Command& command, const Metadata& metadata) const
{
    const Entry& entry = entry_of<Command>();
    if (!middlewares_.empty()) return send_through(entry, command, metadata, no_send_options);
    const auto call = reinterpret_cast<Call<Command>>(entry.call); // NOLINT: stored by add<Command>
    return call(entry.handler.get(), command, metadata, no_send_options);
}

template <class Command>
CommandResult<Command> CommandBus::send(const Command& command, const Metadata& metadata,
                                        const SendOptions& options) const
{
    const Entry& entry = entry_of<Command>();
    if (!middlewares_.empty()) return send_through(entry, command, metadata, options);
    check_may_begin(detail::type_name<Command>(), options);
    const auto call = reinterpret_cast<Call<Command>>(entry.call); // NOLINT: stored by add<Command>
    return call(entry.handler.get(), command, metadata, options);
}

template <class Command>
CommandResult<Command> CommandBus::send_through(const Entry& entry, const Command& command, const Metadata& metadata,
                                                const SendOptions& options) const
{
    using Result = CommandResult<Command>;
    std::optional<detail::ResultValue<Result>> result;
    const auto handle = [&](const Metadata& arrived) -> Result {
        const auto call = reinterpret_cast<Call<Command>>(entry.call); // NOLINT: stored by add<Command>
        return call(entry.handler.get(), command, arrived, options);
    };
    run_around<Result>(CommandInfo{command, metadata, options, &result, entry.target}, options, handle, result);
    if constexpr (!std::is_void_v<Result>) return *std::move(result);
}

template <class Result>
void CommandBus::run_around(const CommandInfo& command, const SendOptions& options,
                            FunctionRef<Result(const Metadata&)> call,
                            std::optional<detail::ResultValue<Result>>& result) const
{
    run_middleware(0, command, [&](const CommandInfo& arrived) {
        check_may_begin(arrived.name, options);
        if constexpr (std::is_void_v<Result>) {
            call(arrived.metadata);
            result.emplace();
        } else {
            result.emplace(call(arrived.metadata));
        }
    });
    if (!result)
        throw Error{"a middleware ended command " + std::string{command.name} + " without a result or an exception"};
}

} // namespace escqrs::inline v0
