// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/commands/command_bus.hpp>
#include <escqrs/commands/dispatcher/keyed_executor.hpp>
#include <escqrs/core/identifiers.hpp>
#include <escqrs/core/text_id.hpp>
#include <escqrs/core/type_identity.hpp>

#include <concepts>
#include <cstddef>
#include <cstring>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace escqrs::inline v0 {

namespace detail {

/// The value of a key as bytes that differ for different values. Texts of all types are one kind, and so are whole
/// numbers; ids of different things differ. Kinds whose hashes collide only wait for each other without need.
template <class Key>
std::string ordering_key(const Key& key)
{
    constexpr bool is_text = std::is_convertible_v<const Key&, std::string_view>;
    using Number = std::conditional_t<std::integral<Key>, long long, Key>;
    using Kind = std::conditional_t<is_text, std::string, Number>;
    const std::size_t kind = type_identity<Kind>().hash();
    std::string bytes(sizeof kind, '\0');
    std::memcpy(bytes.data(), &kind, sizeof kind);
    if constexpr (is_text) bytes.append(std::string_view{key});
    else if constexpr (requires { append_text(key.value(), bytes); }) append_text(key.value(), bytes);
    else if constexpr (is_id<Key>) bytes.append(key.value());
    else if constexpr (std::is_same_v<Key, StreamId>) bytes.append(key.text());
    else if constexpr (std::integral<Key>) bytes.append(std::to_string(key));
    else static_assert(is_text, "escqrs: commands are ordered by an escqrs::Id, a StreamId, a text or a whole number");
    return bytes;
}

} // namespace detail

/// Sends commands on the user's executor: `send` returns at once, and the result arrives in a future.
///
/// `Executor` is called as `executor(std::function<void()>)`, from any thread, and runs the task, at once or later.
/// Commands run in parallel as the executor allows, except those for which `in_order_by` names a key: those with the
/// same key run one at a time, in the order in which they were sent. So commands for one busy aggregate cause no
/// conflicts, and no thread waits for a turn.
///
/// A handler may send further commands, also with its own command's key. It must not wait for the future of one with
/// that key, which runs only after the handler has returned.
/// @par Thread safety  `in_order_by` first; `send` may then be called from any thread
template <class Executor>
class CommandDispatcher {
public:
    /// @param bus  must outlive every command sent
    CommandDispatcher(const CommandBus& bus, Executor executor) : bus_{&bus}, executor_{std::move(executor)} {}

    /// Commands with the same value in these members run one at a time, whatever their type:
    /// `in_order_by(&ChangeEmail::attendee_id, &ConfirmEmail::attendee_id)`.
    template <class... Commands, class... Keys>
    void in_order_by(Keys Commands::*... members)
    {
        (in_order_by<Commands>([members](const Commands& command) -> const Keys& { return command.*members; }), ...);
    }

    /// The same, by what `key_of(command)` returns: an Id, a StreamId, a text or a whole number.
    template <class Command, class KeyOf>
    void in_order_by(KeyOf key_of);

    /// Sends the command on the executor. It is not begun if it has been stopped, or its deadline has passed, by the
    /// time its turn comes.
    /// @return what the handler returns or throws; `std::future_error` (broken promise) if the executor destroys the
    ///         task without running it, or one before it with the same key; and what the executor throws. The future's
    ///         destructor does not wait.
    template <class Command>
    std::future<CommandResult<Command>> send(Command command, Metadata metadata = {}, SendOptions options = {}) const;

    /// How many keys have commands that are running or waiting for their turn.
    std::size_t busy_keys() const { return executor_.busy_keys(); }

private:
    template <class Command>
    class Sending;

    using KeyOfAny = std::function<std::string(const void* command)>;

    const CommandBus* bus_;
    mutable KeyedExecutor<Executor> executor_;
    detail::TypeTable<KeyOfAny> keys_; ///< by type of command
};

/// A command on its way, and the promise of its result.
template <class Executor>
template <class Command>
class CommandDispatcher<Executor>::Sending {
public:
    using Result = CommandResult<Command>;

    Sending(const CommandBus& bus, Command given, Metadata metadata, SendOptions options)
        : command{std::move(given)}, bus_{bus}, metadata_{std::move(metadata)}, options_{std::move(options)}
    {
    }

    void run() noexcept
    {
        try {
            if constexpr (std::is_void_v<Result>) {
                bus_.send(command, metadata_, options_);
                promise.set_value();
            } else {
                promise.set_value(bus_.send(command, metadata_, options_));
            }
        } catch (...) {
            promise.set_exception(std::current_exception());
        }
    }

    Command command;
    std::promise<Result> promise;

private:
    const CommandBus& bus_;
    Metadata metadata_;
    SendOptions options_;
};

template <class Executor>
template <class Command, class KeyOf>
void CommandDispatcher<Executor>::in_order_by(KeyOf key_of)
{
    keys_[detail::type_identity<Command>()] = [key_of = std::move(key_of)](const void* command) {
        return detail::ordering_key(key_of(*static_cast<const Command*>(command)));
    };
}

template <class Executor>
template <class Command>
std::future<CommandResult<Command>> CommandDispatcher<Executor>::send(Command command, Metadata metadata,
                                                                      SendOptions options) const
{
    const auto sending =
        std::make_shared<Sending<Command>>(*bus_, std::move(command), std::move(metadata), std::move(options));
    auto result = sending->promise.get_future();
    const KeyOfAny* const key_of = keys_.find(detail::type_identity<Command>());
    try {
        const auto task = [sending] { sending->run(); };
        if (key_of != nullptr) executor_.run((*key_of)(&sending->command), task);
        else executor_.run(task);
    } catch (...) {
        try {
            sending->promise.set_exception(std::current_exception());
        } catch (const std::future_error&) { // NOLINT(bugprone-empty-catch): it has run all the same
        }
    }
    return result;
}

} // namespace escqrs::inline v0
