// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/command_bus.hpp>
#include <escqrs/detail/type_index.hpp>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace escqrs::testing {

/// A command that went over a bus.
struct RecordedCommand {
    std::string name; ///< its C++ name: `conference::RegisterAttendee`
    Metadata metadata;
    std::optional<std::string> refusal{}; ///< the text of the exception that ended it

    /// True if it was a `Command`.
    template <class Command>
    bool is() const
    {
        return name == escqrs::detail::type_name<Command>();
    }
};

/// Keeps which commands are sent on a real bus, as a middleware of it. Added last, it sees each attempt of a middleware that
/// tries again; added first, each command once.
/// @par Thread safety  commands may be sent from any thread
class CommandRecorder {
public:
    /// @param bus  may outlive the recorder, and goes on to record then
    explicit CommandRecorder(CommandBus& bus)
    {
        bus.use([state = state_](const CommandInfo& command, FunctionRef<void()> next) {
            RecordedCommand recorded{std::string{command.name}, command.metadata};
            try {
                next();
            } catch (const std::exception& error) {
                recorded.refusal = error.what();
                state->add(std::move(recorded));
                throw;
            } catch (...) {
                recorded.refusal = "something that is no std::exception";
                state->add(std::move(recorded));
                throw;
            }
            state->add(std::move(recorded));
        });
    }

    /// The commands, in the order in which they ended.
    std::vector<RecordedCommand> commands() const
    {
        const std::scoped_lock lock{state_->mutex};
        return state_->commands;
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
    }

private:
    struct State {
        void add(RecordedCommand command)
        {
            const std::scoped_lock lock{mutex};
            commands.push_back(std::move(command));
        }

        std::mutex mutex;
        std::vector<RecordedCommand> commands;
    };

    std::shared_ptr<State> state_ = std::make_shared<State>();
};

} // namespace escqrs::testing
