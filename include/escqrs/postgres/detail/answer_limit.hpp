// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/timestamp.hpp>

#include <algorithm>
#include <chrono>
#include <stop_token>
#include <utility>

namespace escqrs::postgres::detail {

/// How long to wait for a server's answer, from now on. A stop request leaves a second of it at most.
class AnswerLimit {
public:
    AnswerLimit(Duration at_most, std::stop_token stop) : at_most_{at_most}, stop_{std::move(stop)} {}

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
    std::stop_token stop_;
    std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

} // namespace escqrs::postgres::detail
