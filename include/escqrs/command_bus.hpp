// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/commit_result.hpp>
#include <escqrs/detail/function_ref.hpp>
#include <escqrs/detail/type_index.hpp>
#include <escqrs/error.hpp>
#include <escqrs/metadata.hpp>

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

namespace escqrs {

namespace detail {

template <class Command>
struct ResultOf {
    using Type = CommitResult;
};
template <class Command>
    requires requires { typename Command::Result; }
struct ResultOf<Command> {
    using Type = typename Command::Result;
};

} // namespace detail

/// What a command's handler returns: `Command::Result` if the command says so, else `CommitResult`.
template <class Command>
using CommandResult = typename detail::ResultOf<Command>::Type;

/// A command's handler, paired with the command: `on<RegisterAttendee>(handler)`.
template <class Command, class Handler>
struct CommandHandler {
    Handler handler;
};

template <class Command, class Handler>
CommandHandler<Command, std::decay_t<Handler>> on(Handler&& handler)
{
    return {std::forward<Handler>(handler)};
}

/// What a middleware sees of the command passing through it.
struct CommandInfo {
    std::string_view name;
    const Metadata& metadata;
};

/// Runs around every handler: `[](const CommandInfo&, FunctionRef<void()> next) { ...; next(); ... }`. Not calling
/// `next` must end in an exception; calling it again runs the rest again.
using CommandMiddleware = std::function<void(const CommandInfo&, FunctionRef<void()> next)>;

/// Brings each command to its one handler.
///
/// A handler is called as `handler(const Command&, const Metadata&)` or `handler(const Command&)`.
/// @par Thread safety  register first; `send` may then be called from any thread, as the handlers allow
class CommandBus {
public:
    /// Registers handlers. Two for one command in one call do not compile.
    /// @throws DuplicateHandler if a command has its handler already; those before it stay registered
    template <class... Commands, class... Handlers>
    void handle(CommandHandler<Commands, Handlers>... handlers);

    /// Registers the handler of one command.
    template <class Command, class Handler>
    void handle(Handler&& handler)
    {
        handle(on<Command>(std::forward<Handler>(handler)));
    }

    /// Adds a middleware around all handlers; the first one added is the outermost.
    void use(CommandMiddleware middleware) { middlewares_.push_back(std::move(middleware)); }

    /// Calls the command's handler and returns what it returns.
    /// @throws HandlerNotFound if it has none; whatever the handler or a middleware throws
    template <class Command>
    CommandResult<Command> send(const Command& command, const Metadata& metadata = no_metadata) const;

private:
    struct Family;
    using AnyFunction = void (*)();

    struct Entry {
        std::shared_ptr<void> handler;
        AnyFunction call = nullptr; ///< really a Call<Command>
    };

    template <class Command>
    using Call = CommandResult<Command> (*)(void* handler, const Command&, const Metadata&);

    template <class Command, class Handler>
    void add(Handler handler);

    template <class Command>
    CommandResult<Command> send_through(Call<Command> call, void* handler, const Command&, const Metadata&) const;

    void run_middleware(std::size_t index, const CommandInfo& command, FunctionRef<void()> innermost) const
    {
        if (index == middlewares_.size()) return innermost();
        middlewares_[index](command, [&] { run_middleware(index + 1, command, innermost); });
    }

    std::vector<Entry> entries_; ///< by type index
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
    constexpr bool without = std::is_invocable_r_v<Result, Handler&, const Command&>;
    static_assert(
        with_metadata || without,
        "escqrs: a command handler is called with (const Command&, const Metadata&) or (const Command&) and returns "
        "Command::Result, or escqrs::CommitResult if the command names no Result");
    if constexpr (with_metadata || without) {
        const std::size_t index = detail::type_index<Family, Command>();
        if (index >= entries_.size()) entries_.resize(index + 1);
        if (entries_[index].call != nullptr) throw DuplicateHandler{std::string{detail::type_name<Command>()}};
        const Call<Command> call = [](void* object, const Command& command, const Metadata& metadata) -> Result {
            if constexpr (with_metadata) return (*static_cast<Handler*>(object))(command, metadata);
            else return (*static_cast<Handler*>(object))(command);
        };
        entries_[index] = {std::make_shared<Handler>(std::move(handler)),
                           reinterpret_cast<AnyFunction>(call)}; // NOLINT: cast back to Call<Command> by send
    }
}

template <class Command>
CommandResult<Command> CommandBus::send(const Command& command, const Metadata& metadata) const
{
    const std::size_t index = detail::type_index<Family, Command>();
    if (index >= entries_.size() || entries_[index].call == nullptr) {
        throw HandlerNotFound{std::string{detail::type_name<Command>()}};
    }
    const Entry& entry = entries_[index];
    const auto call = reinterpret_cast<Call<Command>>(entry.call); // NOLINT: stored by add<Command>
    if (middlewares_.empty()) return call(entry.handler.get(), command, metadata);
    return send_through<Command>(call, entry.handler.get(), command, metadata);
}

template <class Command>
CommandResult<Command> CommandBus::send_through(Call<Command> call, void* handler, const Command& command,
                                                const Metadata& metadata) const
{
    const CommandInfo info{detail::type_name<Command>(), metadata};
    if constexpr (std::is_void_v<CommandResult<Command>>) {
        run_middleware(0, info, [&] { call(handler, command, metadata); });
    } else {
        std::optional<CommandResult<Command>> result;
        run_middleware(0, info, [&] { result.emplace(call(handler, command, metadata)); });
        if (!result)
            throw Error{"a middleware ended command " + std::string{info.name} + " without a result or an exception"};
        return *std::move(result);
    }
}

} // namespace escqrs
