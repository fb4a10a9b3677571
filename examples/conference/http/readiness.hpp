// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "rate_limited_log.hpp"
#include "timed_look.hpp"

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace http {

/// One of the things that must be in order for a role to be ready; says what is not, or throws.
struct ReadinessCheck {
    std::string name;
    std::function<std::optional<std::string>()> problem;
};

/// Answers whether a role is ready, in time for probes that wait for a second, however long a check takes: see `TimedLook`. A
/// look that takes too long is answered for with the problems it has found so far, and with the check that it waits for.
/// @par Thread safety  any thread
class Readiness {
public:
    /// @param checks  what they refer to must outlive this
    Readiness(std::vector<ReadinessCheck> checks, Log log,
              std::chrono::milliseconds patience = std::chrono::milliseconds{500});

    void answer(const Responder& responder) { look_.answer(responder); }

private:
    struct Problem {
        std::string name;
        std::string problem;
    };

    void look();
    std::optional<std::string> problem_of(const ReadinessCheck& check);
    Response response(const TimedLook::Overdue& overdue) const;

    const std::vector<ReadinessCheck> checks_;
    RateLimitedLog log_;
    std::vector<Problem> found_; ///< by the look, so far
    std::string current_;        ///< name of the check that is made
    TimedLook look_;             ///< last: it ends before what it uses
};

} // namespace http
