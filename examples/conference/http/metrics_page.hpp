// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "metrics.hpp"
#include "timed_look.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

namespace http {

/// Answers scrapes of the metrics in time, however long a gauge takes, such as one that asks a database which is silent: see
/// `TimedLook`. Counters and histograms are always there. A gauge without an answer is left out. While one is late, none is
/// asked again, and the values of the others are shown for a few seconds. Those that were late are asked after the others at the
/// next scrape, so that one gauge that waits keeps only its like from being shown then.
/// @par Thread safety  any thread
class MetricsPage {
public:
    /// @param metrics    must outlive this
    /// @param shown_for  how old the values may be that are shown while a gauge is late
    explicit MetricsPage(const Metrics& metrics, std::chrono::milliseconds patience = std::chrono::seconds{2},
                         std::chrono::milliseconds shown_for = std::chrono::seconds{5});

    void answer(const Responder& responder) { look_.answer(responder); }

private:
    void look();
    Response response(const TimedLook::Overdue& overdue) const;

    const Metrics* metrics_;
    const std::chrono::milliseconds shown_for_;
    std::map<std::string, double> found_; ///< by the look, so far
    std::uint64_t looks_ = 0;
    std::map<std::string, std::uint64_t> late_; ///< gauges by name: in which look they were late
    TimedLook look_;                            ///< last: it ends before what it uses
};

} // namespace http
