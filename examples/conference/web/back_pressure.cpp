// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "back_pressure.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace conference::web {
namespace {

constexpr std::uint64_t enough_handled = 5; ///< to see that others than those passed over are handled

/// Of its pace: a read model that handles less of what comes had time for what it has passed over.
constexpr double busy_share = 2.0 / 3;

double seconds(escqrs::Duration duration) { return std::chrono::duration<double>{duration}.count(); }

} // namespace

BackPressure::BackPressure(std::function<Progress()> look, BackPressureOptions options)
    : look_{std::move(look)}, options_{options}
{
}

escqrs::Duration BackPressure::wait()
{
    if (!is_wanted_.load(std::memory_order_relaxed) && !is_wanted_.exchange(true)) {
        std::unique_lock{mutex_}.unlock(); // `run` has not looked at it yet, or waits
        wanted_.notify_one();
    }
    const auto wait = wait_.load(std::memory_order_relaxed);
    if (wait == escqrs::Duration{}) return wait;
    return options_.clock->steady() - looked_at_.load(std::memory_order_relaxed) <= options_.longest_memory
               ? wait
               : escqrs::Duration{};
}

void BackPressure::run(const std::stop_token& stop)
{
    while (true) {
        {
            std::unique_lock lock{mutex_};
            if (!wanted_.wait(lock, stop, [this] { return is_wanted_.load(); }) || stop.stop_requested()) return;
        }
        is_wanted_ = false;
        look();
        escqrs::sleep_for(*options_.clock, options_.look_interval, stop);
    }
}

void BackPressure::look()
{
    const auto now = options_.clock->steady();
    wait_.store(wait_after_look(now), std::memory_order_relaxed);
    looked_at_.store(now, std::memory_order_relaxed);
}

escqrs::CommandMiddleware BackPressure::middleware()
{
    return [this](const escqrs::CommandInfo& command, escqrs::NextHandler next) {
        if (const auto time = wait(); time > escqrs::Duration{}) escqrs::sleep_for(*options_.clock, time, command.stop);
        next();
    };
}

escqrs::Duration BackPressure::wait_after_look(escqrs::SteadyTime now)
{
    std::uint64_t lag = 0;
    std::uint64_t handled = 0;
    try {
        const Progress found = look_();
        handled = found.handled;
        lag = lag_of(found, now);
    } catch (...) { // NOLINT(bugprone-empty-catch): readiness says so
    }
    if (lag < options_.free_events) {
        if (window_begin_) note_catching_up(now, handled);
        window_begin_.reset(); // the pace is kept: it will be much the same when there is a lag again
        return {};
    }
    measure_pace({now, handled, lag});
    if (pace_ == 0) return {};
    const double time = static_cast<double>(lag) / pace_;
    const double share = (time - seconds(options_.free_time)) / seconds(options_.full_time - options_.free_time);
    const double to_halve = 2 * static_cast<double>(options_.command_threads) / pace_;
    const std::chrono::duration<double> wait{std::clamp(share, 0.0, 1.0) * to_halve};
    return std::min(options_.longest_wait, std::chrono::duration_cast<escqrs::Duration>(wait));
}

/// Events that are passed over are in hand, wait for their turn, or are stuck: those that were dead-lettered, and those that the
/// read model has left for a while, though it had time for them.
std::uint64_t BackPressure::lag_of(const Progress& found, escqrs::SteadyTime now)
{
    const std::uint64_t passed_over = found.reached > found.handled ? found.reached - found.handled : 0;
    if (dead_lettered_) stuck_ += found.dead_lettered - std::min(found.dead_lettered, *dead_lettered_);
    dead_lettered_ = found.dead_lettered; // those of before this process may have been resubmitted: who knows
    if (const auto left = left_for_a_while({now, passed_over, passed_over, found.handled})) stuck_ = *left;
    stuck_ = std::min(stuck_, passed_over);
    return found.stored > found.handled + stuck_ ? found.stored - found.handled - stuck_ : 0;
}

/// How many events are passed over and not come to: if others were handled for two windows while their number stayed the same; or
/// much the same, for it changes with those in hand, if the read model could have handled more. While it is busy they may be late.
std::optional<std::uint64_t> BackPressure::left_for_a_while(const Steady& now)
{
    if (!steady_) steady_ = now;
    steady_->least = std::min(steady_->least, now.least);
    steady_->most = std::max(steady_->most, now.most);
    const auto in_hand = std::max(options_.free_events, static_cast<std::uint64_t>(pace_ / 10));
    if (steady_->most - steady_->least > in_hand || steady_->handled > now.handled) steady_ = now;
    const std::uint64_t handled = now.handled - steady_->handled;
    const auto elapsed = now.since - steady_->since;
    if (elapsed < 2 * options_.window || handled < enough_handled) return std::nullopt;
    const Steady before = *std::exchange(steady_, now);
    const bool had_time = static_cast<double>(handled) < busy_share * pace_ * seconds(elapsed);
    if (before.least != before.most && !had_time) return std::nullopt;
    return before.least;
}

/// What is worked off within a window has gone at least so fast. Commits come in groups, so that the figure is rough.
void BackPressure::note_catching_up(escqrs::SteadyTime now, std::uint64_t handled)
{
    const auto elapsed = now - window_begin_->at;
    if (pace_ == 0 || elapsed <= escqrs::Duration{} || handled <= window_begin_->handled) return;
    const double pace = static_cast<double>(handled - window_begin_->handled) / seconds(elapsed);
    pace_ = std::max(pace_, std::min(pace, 2 * pace_));
}

/// That fewer events are handled than before means a slower read model if the lag grows. Else there may have been fewer to handle,
/// most of all if no command has waited.
void BackPressure::measure_pace(const Sample& now)
{
    if (!window_begin_) {
        window_begin_ = now;
        was_idle_ = false;
        return;
    }
    const auto elapsed = now.at - window_begin_->at;
    if (elapsed < (pace_ == 0 ? options_.window / 5 : options_.window)) return;
    const Sample before = std::exchange(*window_begin_, now);
    const std::uint64_t events = now.handled > before.handled ? now.handled - before.handled : 0;
    const bool is_growing = now.lag > before.lag + events / 10;
    const bool was_idle = std::exchange(was_idle_, events == 0);
    if (events == 0) {
        if (was_idle) pace_ = 0; // one window without an event may lie within a long transaction
        return;
    }
    const double pace = static_cast<double>(events) / seconds(elapsed);
    const bool is_slowed = wait_.load(std::memory_order_relaxed) > escqrs::Duration{};
    if (pace_ == 0) pace_ = pace;
    else if (pace > pace_ || is_growing) pace_ = (pace_ + pace) / 2;
    else if (is_slowed) pace_ += (pace - pace_) / 8;
}

} // namespace conference::web
