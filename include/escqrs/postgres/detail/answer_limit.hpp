// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/stop_token.hpp>
#include <escqrs/core/timestamp.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

namespace escqrs::inline v0::postgres::detail {

/// The end of all waits of a call: for a connection of the pool, for answers, for the time to try again.
struct CallLimit {
    using Time = std::chrono::steady_clock::time_point;

    Time end = Time::max();
    stop_token stop{};

    static CallLimit within(Duration at_most, stop_token stop)
    {
        return {std::chrono::steady_clock::now() + std::min<Duration>(at_most, std::chrono::years{100}),
                std::move(stop)};
    }

    bool is_over() const noexcept { return stop.stop_requested() || std::chrono::steady_clock::now() >= end; }
};

/// How long to wait for a server's answer, from now on, and not beyond the end of the call. After a stop request it is
/// a second at most.
class AnswerLimit {
public:
    AnswerLimit(Duration at_most, CallLimit call) : at_most_{at_most}, stop_{std::move(call.stop)}
    {
        if (call.end == CallLimit::Time::max()) return;
        const auto left = std::chrono::duration_cast<Duration>(call.end - begin_);
        at_most_ = std::min(at_most_, std::max(left, Duration::zero()));
    }

    /// How long to wait before the next call; 0 when the limit is reached.
    Duration next()
    {
        constexpr Duration most_when_stopped = std::chrono::seconds{1};
        constexpr Duration look_for_stop = std::chrono::milliseconds{50};
        const auto passed = std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - begin_);
        if (stop_.stop_requested()) {
            at_most_ = std::min(at_most_, passed + most_when_stopped);
            stop_ = {};
        }
        const Duration left = std::max(at_most_ - passed, Duration::zero());
        return stop_.stop_possible() ? std::min(left, look_for_stop) : left;
    }

    Duration at_most() const noexcept { return at_most_; }

private:
    Duration at_most_;
    stop_token stop_;
    std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

/// Calls `(*task)()` in its own thread, and waits for its end within the limit: for what libpq only does blocking, such
/// as looking up a host's name. A task that takes longer continues, keeps itself alive, and ends by itself.
/// @return whether it has ended; only then may its results be read
/// @throws std::system_error if no thread can be started
template <class Task>
bool run_apart(const std::shared_ptr<Task>& task, AnswerLimit& limit)
{
    struct End {
        std::mutex mutex;
        std::condition_variable reached;
        bool is_reached = false;
    };
    const auto end = std::make_shared<End>();
    std::thread{[task, end]() noexcept {
        (*task)();
        const std::scoped_lock lock{end->mutex};
        end->is_reached = true;
        end->reached.notify_one();
    }}.detach();
    std::unique_lock lock{end->mutex};
    for (Duration slice = limit.next(); slice > Duration::zero(); slice = limit.next()) {
        const auto at_most = std::min<Duration>(slice, std::chrono::hours{24});
        if (end->reached.wait_for(lock, at_most, [&] { return end->is_reached; })) return true;
    }
    return end->is_reached;
}

} // namespace escqrs::inline v0::postgres::detail
