// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <csignal>
#include <functional>
#include <stop_token>
#include <string_view>

namespace conference {

/// SIGTERM, SIGINT and SIGHUP ask the process to finish what it has begun and to end. A SIGHUP that the parent has had
/// ignored, as nohup does, stays ignored.
///
/// From the first signal on a limit runs: when it is over, the process ends where it stands, with status 1, before the
/// orchestrator's SIGKILL would end it without a word. So does a second SIGTERM or SIGINT, with the status of that
/// signal. Within a second after the first it is no second one: `timeout` and others signal the process and its group.
class StopSignals {
public:
    /// Keeps the signals from every thread that is started from now on, and waits for them in its own thread.
    explicit StopSignals(std::function<void(std::string_view)> log);

    /// Its stop is requested by the first signal.
    std::stop_token asked() const noexcept { return asked_.get_token(); }

    /// Returns after the first signal.
    void wait() const;

private:
    std::stop_source asked_;
};

} // namespace conference
