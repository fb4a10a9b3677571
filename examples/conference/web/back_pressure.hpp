// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/commands/command_info.hpp>
#include <escqrs/core/clock.hpp>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>

namespace conference::web {

struct BackPressureOptions {
    std::uint64_t free_events = 50;                              ///< a lag of fewer events slows nobody,
    escqrs::Duration free_time = std::chrono::milliseconds{250}; ///< nor does one that is worked off in less
    escqrs::Duration full_time =
        std::chrono::milliseconds{500}; ///< at this one commands go half as fast as the read model
    escqrs::Duration longest_wait = std::chrono::seconds{1};
    std::size_t command_threads = 64; ///< commands that wait at once
    escqrs::Duration look_interval = std::chrono::milliseconds{20};
    escqrs::Duration longest_memory = std::chrono::seconds{1}; ///< a wait that was found longer ago delays no command
    escqrs::Duration window =
        std::chrono::milliseconds{500}; ///< over which its pace is measured; a fifth of it at first
    escqrs::Clock* clock = &escqrs::system_clock();
};

/// Has commands wait a little while the read model cannot keep up with them, so that it lags by less than a second.
///
/// The wait grows with the time that the read model needs for the events it has not handled yet, by the pace it has shown. What is
/// dead-lettered or stuck slows nobody. Commands do not depend on the read model: while it handles nothing at all, or does not
/// answer, they do not wait. `run` asks how far it has come; commands go by what that has found.
/// @par Thread safety  any thread
class BackPressure {
public:
    /// Numbers of events.
    struct Progress {
        std::uint64_t stored;        ///< in the log
        std::uint64_t reached;       ///< in the log up to the newest one that the read model has handled
        std::uint64_t handled;       ///< by the read model; a queue that delivers out of order has it pass over some
        std::uint64_t dead_lettered; ///< so far
    };

    /// @param look  called by `run`, while commands come; may take its time
    explicit BackPressure(std::function<Progress()> look, BackPressureOptions options = {});

    /// How long the next command must wait. Blocks for no query.
    escqrs::Duration wait();

    /// Looks once in each `look_interval` in which there are commands, until stopped. In a thread of its own.
    void run(const std::stop_token& stop);

    /// Looks now. One thread at a time; `run` does so.
    void look();

    /// A middleware that waits so long before each command. This must outlive the bus.
    escqrs::CommandMiddleware middleware();

private:
    struct Sample {
        escqrs::SteadyTime at;
        std::uint64_t handled;
        std::uint64_t lag;
    };

    /// Since when the number of events passed over has been much the same.
    struct Steady {
        escqrs::SteadyTime since;
        std::uint64_t least; ///< passed over
        std::uint64_t most;
        std::uint64_t handled; ///< at the beginning
    };

    escqrs::Duration wait_after_look(escqrs::SteadyTime now);
    std::uint64_t lag_of(const Progress& found, escqrs::SteadyTime now);
    std::optional<std::uint64_t> left_for_a_while(const Steady& now);
    void note_catching_up(escqrs::SteadyTime now, std::uint64_t handled);
    void measure_pace(const Sample& now);

    std::function<Progress()> look_;
    BackPressureOptions options_;
    std::atomic<escqrs::Duration> wait_{escqrs::Duration{}};
    std::atomic<escqrs::SteadyTime> looked_at_{escqrs::SteadyTime{}};
    std::atomic<bool> is_wanted_{false}; ///< there was a command since the last look began
    std::mutex mutex_;                   ///< of the wait for that
    std::condition_variable_any wanted_;

    // Of the thread that looks.
    std::optional<Sample> window_begin_; ///< none while there is no lag
    double pace_ = 0;                    ///< events a second, as last measured; 0: not known, or nothing is handled
    bool was_idle_ = false;              ///< nothing was handled in the last window
    std::optional<std::uint64_t> dead_lettered_; ///< as the last look found
    std::optional<Steady> steady_;
    std::uint64_t stuck_ = 0; ///< events passed over that are not worked off, for all that is known
};

} // namespace conference::web
