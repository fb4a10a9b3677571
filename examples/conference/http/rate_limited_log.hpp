// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "http_server.hpp"

#include <chrono>
#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace http {

/// Logs at most so many lines in each interval, and then how many it has left out. A line that memory is lacking for is
/// left out too.
/// @par Thread safety  any thread
class RateLimitedLog {
public:
    explicit RateLimitedLog(Log log, std::size_t lines = 10,
                            std::chrono::steady_clock::duration interval = std::chrono::seconds{1})
        : log_{std::move(log)}, lines_{lines}, interval_{interval}
    {
    }

    void operator()(std::string_view line) noexcept
    {
        try {
            const std::scoped_lock lock{mutex_};
            const auto now = std::chrono::steady_clock::now();
            if (now >= next_) {
                next_ = now + interval_;
                const std::size_t left_out = logged_ > lines_ ? logged_ - lines_ : 0;
                logged_ = 0;
                if (left_out != 0) log_("(" + std::to_string(left_out) + " lines like these were left out)");
            }
            if (++logged_ <= lines_) log_(line);
        } catch (...) { // NOLINT(bugprone-empty-catch): there is no one else to report to
        }
    }

private:
    Log log_;
    std::size_t lines_;
    std::chrono::steady_clock::duration interval_;
    std::mutex mutex_;
    std::chrono::steady_clock::time_point next_;
    std::size_t logged_ = 0; ///< in this interval, with those left out
};

} // namespace http
