// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "blocking_pool.hpp"
#include "http_server.hpp"
#include "rate_limited_log.hpp"

#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace conference::http {

/// One of the things that must be in order for a role to be ready; says what is not, or throws.
struct ReadinessCheck {
    std::string name;
    std::function<std::optional<std::string>()> problem;
};

/// Answers whether a role is ready, in time for probes that wait for a second, however long a check takes.
///
/// One look at all checks at a time, on a thread of its own, answers every request that comes meanwhile. A look that takes
/// longer than `patience` is answered for with what it has found so far, and with the check that it waits for.
/// @par Thread safety  any thread
class Readiness {
public:
    /// @param checks  what they refer to must outlive this
    Readiness(std::vector<ReadinessCheck> checks, Log log,
              std::chrono::milliseconds patience = std::chrono::milliseconds{500});

    void answer(const Responder& responder);

private:
    struct Problem {
        std::string name;
        std::string problem;
    };
    using Time = std::chrono::steady_clock::time_point;

    bool begin_look(Time now);
    bool keep_time(std::chrono::milliseconds until_overdue);
    void look() noexcept;
    std::optional<std::string> problem_of(const ReadinessCheck& check);
    void answer_overdue();
    bool is_overdue(Time now) const { return is_looking_ && now - began_ >= patience_; }
    std::vector<Problem> found_so_far(Time now) const;
    static Response response_of(const std::vector<Problem>& problems);

    const std::vector<ReadinessCheck> checks_;
    RateLimitedLog log_;
    const std::chrono::milliseconds patience_;
    std::mutex mutex_;
    bool is_looking_ = false;
    bool is_timed_ = false;      ///< a call of `answer_overdue` is due
    Time began_;                 ///< the look
    std::vector<Problem> found_; ///< by the look, so far
    std::string current_;        ///< name of the check that is made
    std::vector<Responder> waiting_;
    BlockingPool pool_{2, 100}; ///< one thread looks, the other keeps the time; last: it ends before what it uses
};

} // namespace conference::http
