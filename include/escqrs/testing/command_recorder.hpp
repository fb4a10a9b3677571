// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/commands/command_bus.hpp>
#include <escqrs/core/type_identity.hpp>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace escqrs::inline v0::testing {

/// A command that went over a bus.
struct RecordedCommand {
    /// Its C++ name: `conference::RegisterAttendee`.
    std::string name;
    Metadata metadata;                    ///< as it was sent
    std::optional<std::string> refusal{}; ///< the text of the exception that ended it

    /// True if it was a `Command`.
    template <class Command>
    bool is() const
    {
        return name == escqrs::detail::type_name<Command>();
    }
};

/// Records which commands are sent on a real bus, as its middleware. Added last, it sees each attempt of a middleware
/// that tries again; added first, each command once.
///
/// It keeps the commands of the types in its list themselves: `CommandRecorder<Lend, Return> recorder{bus};`
/// @par Thread safety  commands may be sent from any thread
template <class... Commands>
class CommandRecorder {
public:
    /// @param bus  may outlive the recorder, and then still records
    explicit CommandRecorder(CommandBus& bus)
    {
        bus.use([state = state_](const CommandInfo& command, FunctionRef<void()> next) {
            RecordedCommand recorded{std::string{command.name}, command.metadata};
            try {
                next();
            } catch (const std::exception& error) {
                recorded.refusal = error.what();
                state->add(std::move(recorded), command);
                throw;
            } catch (...) {
                recorded.refusal = "something that is no std::exception";
                state->add(std::move(recorded), command);
                throw;
            }
            state->add(std::move(recorded), command);
        });
    }

    /// The commands, in the order in which they ended.
    std::vector<RecordedCommand> commands() const
    {
        const std::scoped_lock lock{state_->mutex};
        return state_->commands;
    }

    /// The commands of one type themselves, in the same order.
    template <class Command>
    std::vector<Command> commands() const
    {
        static_assert((std::is_same_v<Command, Commands> || ...),
                      "escqrs: this recorder does not keep commands of this type; name it: CommandRecorder<Command>");
        const std::scoped_lock lock{state_->mutex};
        return std::get<std::vector<Command>>(state_->typed);
    }

    /// How many of one type were sent.
    template <class Command>
    std::size_t count() const
    {
        const auto all = commands();
        return static_cast<std::size_t>(
            std::count_if(all.begin(), all.end(), [](const auto& command) { return command.template is<Command>(); }));
    }

    /// Forgets what was sent so far.
    void clear()
    {
        const std::scoped_lock lock{state_->mutex};
        state_->commands.clear();
        (std::get<std::vector<Commands>>(state_->typed).clear(), ...);
    }

private:
    struct State {
        void add(RecordedCommand recorded, const CommandInfo& command)
        {
            const std::scoped_lock lock{mutex};
            (keep(command.as<Commands>()), ...);
            commands.push_back(std::move(recorded));
        }

        template <class Command>
        void keep(const Command* command)
        {
            if (command != nullptr) std::get<std::vector<Command>>(typed).push_back(*command);
        }

        std::mutex mutex;
        std::vector<RecordedCommand> commands;
        std::tuple<std::vector<Commands>...> typed;
    };

    std::shared_ptr<State> state_ = std::make_shared<State>();
};

} // namespace escqrs::inline v0::testing
