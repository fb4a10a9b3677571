// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace http {

/// Numbers about a running program, shown in the Prometheus text format, version 0.0.4.
/// @par Thread safety  any thread; counting takes no lock once a counter exists
class Metrics {
public:
    using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

    class Counter {
    public:
        void add(std::uint64_t count = 1) noexcept { value_.fetch_add(count, std::memory_order_relaxed); }
        std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

    private:
        std::atomic<std::uint64_t> value_{0};
    };

    /// Durations, in buckets from 0.25 ms to 10 s.
    class Histogram {
    public:
        static constexpr std::array<double, 16> bounds{0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032,
                                                       0.064,   0.128,  0.25,  0.5,   1.0,   2.5,   5.0,   10.0};

        void observe(std::chrono::nanoseconds duration) noexcept;

    private:
        friend Metrics;
        std::array<std::atomic<std::uint64_t>, bounds.size() + 1> buckets_{};
        std::atomic<std::uint64_t> nanoseconds_{0};
    };

    /// The counter of that name and labels, made when first asked for. It lives as long as the metrics.
    Counter& counter(std::string_view name, std::string_view help, Labels labels = {});
    Histogram& histogram(std::string_view name, std::string_view help, Labels labels = {});

    /// All of them, with these values of gauges; the others are not known just now.
    std::string text(const std::map<std::string, double>& values) const;

    std::vector<std::string> gauge_names() const;

    /// The value of a gauge, which it may have to wait for; nothing if there is no such gauge, or it cannot tell.
    std::optional<double> ask(const std::string& name) const;

private:
    friend class Gauges;

    struct Gauge {
        std::string name;
        std::string help;
        std::mutex mutex; ///< held while the value is asked for
        std::function<double()> value;
    };

    template <class Metric>
    struct Family {
        std::string help;
        std::map<std::string, Metric> members; ///< by label text
    };

    template <class Metric>
    using Families = std::map<std::string, Family<Metric>, std::less<>>; ///< by name

    template <class Metric>
    Metric& member(Families<Metric>& families, std::string_view name, std::string_view help, Labels labels);

    mutable std::shared_mutex mutex_;
    Families<Counter> counters_;
    Families<Histogram> histograms_;
    std::map<std::string, std::shared_ptr<Gauge>> gauges_; ///< by name
};

/// Values that an object is asked for when the metrics are shown, for as long as it lives: its last member, so that they end
/// before what they tell of.
class Gauges {
public:
    /// @param metrics  must outlive the gauges
    explicit Gauges(Metrics& metrics) : metrics_{&metrics} {}

    /// Waits until none of them is being asked for its value.
    ~Gauges();

    Gauges(const Gauges&) = delete;
    Gauges& operator=(const Gauges&) = delete;

    /// @param value  is left out while it throws, and from an answer that cannot wait for it any longer
    void add(const std::string& name, const std::string& help, std::function<double()> value);

private:
    Metrics* metrics_;
    std::vector<std::shared_ptr<Metrics::Gauge>> gauges_;
};

} // namespace http
