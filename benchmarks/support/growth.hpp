// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>

namespace benchmarks {

/// Events of each stream when a log has its size; they come in parts of five, so that streams grow side by side.
inline constexpr std::int64_t events_per_stream = 10;
inline constexpr std::int64_t events_per_part = 5;
inline constexpr std::int64_t page_size = 500;

/// A log of so many events, made when it is first asked for. One at a time is kept.
template <class Log>
Log& log_of(std::int64_t events)
{
    static std::unique_ptr<Log> log;
    static std::int64_t size = 0;
    if (size != events) {
        log.reset();
        log = std::make_unique<Log>(static_cast<std::uint64_t>(events / events_per_stream));
        size = events;
    }
    return *log;
}

/// Appends, loads of a stream, and pages of the log, each somewhere in a log of 10^3 to 10^7 events.
///
/// A `Log` is made with a number of streams; `append(stream)`, `load(stream)` and `read_page(position)` return how many events
/// they stored or showed.
template <class Log>
void add_growth(const std::string& store, const std::string& contestant, std::int64_t appends)
{
    const auto add = [&](const char* work, auto call) {
        return benchmark::RegisterBenchmark(("growth/" + store + "/" + work + "/" + contestant).c_str(),
                                            [call](benchmark::State& state) {
                                                Log& log = log_of<Log>(state.range(0));
                                                std::mt19937_64 random{42}; // NOLINT: the same each time
                                                std::int64_t events = 0;
                                                for ([[maybe_unused]] const auto _ : state)
                                                    events += call(log, random(), state.range(0));
                                                if (events < state.iterations())
                                                    state.SkipWithError("events are missing");
                                            })
            ->RangeMultiplier(10)
            ->Range(1'000, 10'000'000)
            ->UseRealTime();
    };
    add("append", [](Log& log, std::uint64_t random, std::int64_t size) {
        return log.append(random % static_cast<std::uint64_t>(size / events_per_stream));
    })->Iterations(appends);
    add("load", [](Log& log, std::uint64_t random, std::int64_t size) {
        return log.load(random % static_cast<std::uint64_t>(size / events_per_stream));
    });
    add("page", [](Log& log, std::uint64_t random, std::int64_t size) {
        return log.read_page(random % static_cast<std::uint64_t>(size - page_size));
    });
}

} // namespace benchmarks
