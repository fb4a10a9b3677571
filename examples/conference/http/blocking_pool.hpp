// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "http_server.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>

namespace http {

/// Threads for work that waits for a disk. As many as appends are to share a commit.
/// @par Thread safety  any thread
class BlockingPool {
public:
    /// @param max_waiting  pieces of work beyond this are refused
    /// @param log          of what work throws; it must not, but no thread ends by it
    BlockingPool(
        std::size_t threads, std::size_t max_waiting, Log log = [](std::string_view) {});
    ~BlockingPool(); // NOLINT(bugprone-exception-escape): no one to report to

    /// Runs `work` on one of the threads, and never on the caller's, who may hold a lock that it takes.
    /// @return false if too much is waiting already, or the pool is stopped; it is not run then
    bool try_run(std::function<void()> work);

    /// Runs `work` on one of the threads after `delay`, or sooner when the pool is stopped meanwhile.
    /// @return false if the pool is stopped; it is not run then
    bool run_after(std::chrono::milliseconds delay, std::function<void()> work);

    /// Finishes what has begun, runs at once what waits for its time, drops what waits for a thread, and ends the
    /// threads. What is given to the pool from then on is refused.
    void stop();

private:
    class Implementation;
    std::unique_ptr<Implementation> implementation_;
};

} // namespace http
