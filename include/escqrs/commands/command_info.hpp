// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/commands/commit_result.hpp>
#include <escqrs/core/clock.hpp>
#include <escqrs/core/function_ref.hpp>
#include <escqrs/core/identifiers.hpp>
#include <escqrs/core/metadata.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/core/type_identity.hpp>

#include <functional>
#include <optional>
#include <string_view>
#include <type_traits>
#include <variant>

namespace escqrs::inline v0 {

/// Until when a command may still be begun. By default nothing ends it.
struct SendOptions {
    stop_token stop{};                     ///< once requested, a command is not begun
    Timestamp deadline = Timestamp::max(); ///< past it, a command is not begun; by the bus's clock
};

/// For default arguments, so that a call without options does not construct any.
inline const SendOptions no_send_options{};

/// What a handler may need next to the command. Valid during the call that passes it.
struct CommandContext {
    const Metadata& metadata; ///< as it was sent
    /// A handler that works for long should check it, and the deadline.
    const stop_token& stop;
    Timestamp deadline; ///< as given in `SendOptions`; `Timestamp::max()` if there is none
};

namespace detail {

/// The context of work for no command, or for one without an end.
inline CommandContext in_context(const Metadata& metadata) noexcept
{
    return {metadata, no_send_options.stop, no_send_options.deadline};
}
inline const CommandContext& in_context(const CommandContext& context) noexcept { return context; }

template <class T>
concept ContextLike = requires(const T& context) { in_context(context); };

/// True if a wait ends before the command's deadline.
inline bool has_time(const CommandContext& context, Duration wait, const Clock& clock)
{
    return wait < time_until(context.deadline, clock.now());
}

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

namespace detail {

/// A handler's function that names the stream of a command; null if it has none.
struct TargetStream {
    const void* handler = nullptr;
    StreamId (*of)(const void* handler, const void* command) = nullptr;
};
inline const TargetStream no_target_stream{};

/// `void` is no value; a handler that returns nothing leaves a `std::monostate`.
template <class Result>
using ResultValue = std::conditional_t<std::is_void_v<Result>, std::monostate, Result>;

} // namespace detail

/// What a middleware sees of the command passing through it. Valid during the call that passes it.
class CommandInfo {
public:
    /// A bus makes these; a test of a middleware may do so too.
    template <class Command>
    explicit CommandInfo(const Command& command, const Metadata& with = no_metadata,
                         const SendOptions& options = no_send_options,
                         std::optional<detail::ResultValue<CommandResult<Command>>>* result = nullptr,
                         const detail::TargetStream& target = detail::no_target_stream) noexcept
        : name{detail::type_name<Command>()}, metadata{with}, stop{options.stop}, deadline{options.deadline},
          command_{&command}, command_type_{&detail::type_identity<Command>()}, result_{result},
          result_type_{&detail::type_identity<detail::ResultValue<CommandResult<Command>>>()}, target_{&target}
    {
    }

    /// The C++ name of its type, with namespaces.
    std::string_view name;
    const Metadata& metadata; ///< as it was sent
    const stop_token& stop;   ///< as given in `SendOptions`
    Timestamp deadline;       ///< as given in `SendOptions`

    /// The command itself if it is a `Command`, else null.
    template <class Command>
    const Command* as() const noexcept
    {
        const bool is_it = *command_type_ == detail::type_identity<Command>();
        return is_it ? static_cast<const Command*>(command_) : nullptr;
    }

    /// The place for the handler's result, if that is a `Result`, else null: empty before `next()`; afterwards a
    /// middleware may read or replace it. A middleware that puts a result there need not call `next()` at all.
    template <class Result>
    std::optional<Result>* result() const noexcept
    {
        const bool is_it = *result_type_ == detail::type_identity<Result>();
        return is_it ? static_cast<std::optional<Result>*>(result_) : nullptr;
    }

    /// The stream that the command changes, if its handler names it (see `on` and `decided_by`).
    std::optional<StreamId> stream() const
    {
        if (target_->of == nullptr) return std::nullopt;
        return target_->of(target_->handler, command_);
    }

    /// The same command with other metadata.
    CommandInfo with(const Metadata& other) const noexcept { return CommandInfo{*this, other}; }

private:
    CommandInfo(const CommandInfo& info, const Metadata& other) noexcept
        : name{info.name}, metadata{other}, stop{info.stop}, deadline{info.deadline}, command_{info.command_},
          command_type_{info.command_type_}, result_{info.result_}, result_type_{info.result_type_},
          target_{info.target_}
    {
    }

    const void* command_;
    const detail::TypeIdentity* command_type_;
    void* result_; ///< a std::optional of result_type_
    const detail::TypeIdentity* result_type_;
    const detail::TargetStream* target_;
};

/// The rest of a command's way: the middleware further in, and the handler.
class NextHandler {
public:
    /// A bus makes these; `command` and `rest` must outlive it.
    NextHandler(const CommandInfo& command, FunctionRef<void(const CommandInfo&)> rest) noexcept
        : command_{command}, rest_{rest}
    {
    }

    /// Continues with the same metadata.
    void operator()() const { rest_(command_); }

    /// Continues with other metadata.
    void operator()(const Metadata& metadata) const { rest_(command_.with(metadata)); }

private:
    const CommandInfo& command_;
    FunctionRef<void(const CommandInfo&)> rest_;
};

/// Runs around every handler: `[](const CommandInfo& command, NextHandler next) { ...; next(); ... }`. Not calling
/// `next` must end in an exception or leave a result; calling it again runs the rest again.
using CommandMiddleware = std::function<void(const CommandInfo&, NextHandler)>;

} // namespace escqrs::inline v0
