// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <chrono>
#include <stop_token>
#include <thread>

namespace conference {

/// Calls `run(stop)` until a stop is requested. What it throws even in handling a failure, for want of memory, ends no
/// thread.
template <class Run>
void keep_running(Run run, const std::stop_token& stop) noexcept
{
    while (!stop.stop_requested()) {
        try {
            run(stop);
        } catch (...) {
            std::this_thread::sleep_for(std::chrono::milliseconds{100});
        }
    }
}

} // namespace conference
