// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "blocking_pool.hpp"
#include "http_server.hpp"

#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace http {

/// Answers requests with what a look at something finds, in time for probes and scrapes, however long the look takes.
///
/// One look at a time, on its own thread, answers every request that comes meanwhile. A look that takes longer than
/// `patience` is answered for with what it has noted so far.
/// @par Thread safety  any thread
class TimedLook {
public:
    /// How long a look has taken; nothing if it has not taken too long.
    using Overdue = std::optional<std::chrono::milliseconds>;

    struct Parts {
        std::function<void()> begin; ///< forgets what the last look has noted; runs under the lock
        std::function<void()>
            look; ///< notes what it finds by `note`; if it throws, its requests are answered with a 503
        std::function<Response(const Overdue&)> response; ///< of what has been noted; runs under the lock
    };

    TimedLook(Parts parts, std::chrono::milliseconds patience);

    void answer(const Responder& responder);

    /// For the look: runs `change` under the lock.
    /// @return whether the look takes too long: it should end, for its requests have been answered
    template <class Change>
    bool note(Change change)
    {
        const std::scoped_lock lock{mutex_};
        const auto overdue = overdue_at(std::chrono::steady_clock::now());
        change(overdue);
        return overdue.has_value();
    }

private:
    using Time = std::chrono::steady_clock::time_point;

    bool begin_look(Time now);
    bool keep_time(std::chrono::milliseconds until_overdue);
    void look() noexcept;
    void answer_overdue();
    Overdue overdue_at(Time now) const;

    const Parts parts_;
    const std::chrono::milliseconds patience_;
    std::mutex mutex_;
    bool is_looking_ = false;
    bool is_timed_ = false; ///< a call of `answer_overdue` is due
    Time began_;            ///< the look
    std::vector<Responder> waiting_;
    BlockingPool pool_{2, 100}; ///< one thread looks, the other keeps the time; last: it ends before what it uses
};

} // namespace http
