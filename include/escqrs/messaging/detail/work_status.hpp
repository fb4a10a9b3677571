// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/timestamp.hpp>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace escqrs::inline v0::detail {

/// What keeps a loop in its own thread from its work, for other threads to query.
/// @par Thread safety  any thread
class WorkStatus {
public:
    /// A loop that neither comes round nor makes progress for this long, beyond what it waits for by itself, hangs.
    static constexpr Duration patience = std::chrono::minutes{2};

    /// @param wait  the longest that the loop waits when there is nothing to do
    explicit WorkStatus(Duration wait = {}) : limit_{patience + std::min(wait, Duration::max() - patience)} {}

    void start(SteadyTime now)
    {
        const std::scoped_lock lock{mutex_};
        last_round_ = now;
        problem_.reset();
    }
    void stop()
    {
        const std::scoped_lock lock{mutex_};
        last_round_.reset();
    }

    /// The loop came round without, or with, a problem.
    void came_round(SteadyTime now, std::optional<std::string> problem = std::nullopt)
    {
        const std::scoped_lock lock{mutex_};
        last_round_ = now;
        problem_ = std::move(problem);
    }

    /// The loop is in the middle of its work.
    void progress(SteadyTime now)
    {
        const std::scoped_lock lock{mutex_};
        if (last_round_) last_round_ = now;
    }

    std::optional<std::string> problem(SteadyTime now) const
    {
        const std::scoped_lock lock{mutex_};
        if (!last_round_) return "not running";
        if (problem_) return problem_;
        if (now - *last_round_ <= limit_) return std::nullopt;
        const auto silence = std::chrono::duration_cast<std::chrono::seconds>(now - *last_round_);
        return "has hung for " + std::to_string(silence.count()) + " s";
    }

private:
    Duration limit_;
    mutable std::mutex mutex_;
    std::optional<SteadyTime> last_round_; ///< none: not running
    std::optional<std::string> problem_;
};

} // namespace escqrs::inline v0::detail
