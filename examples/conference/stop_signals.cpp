// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "stop_signals.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <ctime>
#include <mutex>
#include <pthread.h>
#include <string>
#include <thread>
#include <unistd.h>
#include <utility>

namespace conference {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds drain_limit{28}; ///< two seconds less than Kubernetes waits before its SIGKILL

const char* name_of(int signal) { return signal == SIGTERM ? "SIGTERM" : signal == SIGINT ? "SIGINT" : "SIGHUP"; }

bool is_ignored(int signal)
{
    struct sigaction action {};
    return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN; // NOLINT: a union
}

/// @return the signal; 0 if none came by `end`
int wait_for(const sigset_t& signals, Clock::time_point end)
{
    for (;;) {
        const auto left = std::max(Clock::duration::zero(), end - Clock::now());
        const auto seconds = std::chrono::floor<std::chrono::seconds>(left);
        std::timespec time{};
        time.tv_sec = static_cast<std::time_t>(seconds.count());
        time.tv_nsec = static_cast<long>(std::chrono::nanoseconds{left - seconds}.count());
        const int signal = sigtimedwait(&signals, nullptr, &time);
        if (signal > 0) return signal;
        if (errno == EAGAIN) return 0;
    }
}

[[noreturn]] void watch_drain(const sigset_t& signals, const std::function<void(std::string_view)>& log)
{
    const auto begun = Clock::now();
    for (;;) {
        const int signal = wait_for(signals, begun + drain_limit);
        if (signal == 0) {
            log("stopping where it stands: not done within " + std::to_string(drain_limit.count()) + " s");
            _exit(1);
        }
        if (signal == SIGHUP || Clock::now() - begun < std::chrono::seconds{1}) continue;
        log(std::string{"stopping where it stands on a second "} + name_of(signal));
        _exit(128 + signal);
    }
}

} // namespace

StopSignals::StopSignals(std::function<void(std::string_view)> log)
{
    sigset_t signals{};
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    if (!is_ignored(SIGHUP)) sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN); // a closed connection is an error code, not the end of the process
    // It ends with the process, however that ends.
    std::thread{[signals, asked = asked_, log = std::move(log)]() mutable {
        int signal = 0;
        sigwait(&signals, &signal);
        log(std::string{"stopping on "} + name_of(signal));
        asked.request_stop();
        watch_drain(signals, log);
    }}.detach();
}

void StopSignals::wait() const
{
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock{mutex};
    wake.wait(lock, asked_.get_token(), [] { return false; });
}

} // namespace conference
