// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "metrics.hpp"
#include "timed_look.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

namespace conference::http {

/// Answers scrapes of the metrics in time, however long a gauge takes, such as one that asks a database which is silent: see
/// `TimedLook`. Counters and histograms are always there. A gauge without an answer is left out, and those that were late are
/// asked after the others at the next scrape, so that one gauge that waits keeps only its like from being shown.
/// @par Thread safety  any thread
class MetricsPage {
public:
    /// @param metrics  must outlive this
    explicit MetricsPage(const Metrics& metrics, std::chrono::milliseconds patience = std::chrono::seconds{2});

    void answer(const Responder& responder) { look_.answer(responder); }

private:
    void look();
    Response response() const;

    const Metrics* metrics_;
    std::map<std::string, double> found_; ///< by the look, so far
    std::uint64_t looks_ = 0;
    std::map<std::string, std::uint64_t> late_; ///< gauges by name: in which look they were late
    TimedLook look_;                            ///< last: it ends before what it uses
};

} // namespace conference::http
