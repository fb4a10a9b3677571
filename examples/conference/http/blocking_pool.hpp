// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>

namespace conference::http {

/// Threads for work that waits for a disk. As many as appends are to share a commit.
/// @par Thread safety  any thread
class BlockingPool {
public:
    /// @param max_waiting  pieces of work beyond this are refused
    BlockingPool(std::size_t threads, std::size_t max_waiting);
    ~BlockingPool(); // NOLINT(bugprone-exception-escape): nobody to tell

    /// Runs `work`, which must not throw, on one of the threads; once the pool is stopped, at once on the caller's.
    /// @return false if too much is waiting already; it is not run then
    bool try_run(std::function<void()> work);

    /// Runs `work` later, or at once when the pool is stopped.
    void run_after(std::chrono::milliseconds delay, std::function<void()> work);

    /// Finishes what was taken on and ends the threads.
    void stop();

private:
    class Implementation;
    std::unique_ptr<Implementation> implementation_;
};

} // namespace conference::http
