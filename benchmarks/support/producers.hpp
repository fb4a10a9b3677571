// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace benchmarks {

inline constexpr std::size_t streams_per_producer = 100;
inline constexpr std::size_t most_producers = 64;

/// A benchmark on several threads: each calls `append(producer, stream)`, with its own streams in turn. `p99_ms` is of
/// all their calls together.
template <class Append>
void produce(benchmark::State& state, Append append)
{
    using Clock = std::chrono::steady_clock;
    static std::array<std::vector<float>, most_producers> latencies;
    const auto producer = static_cast<std::size_t>(state.thread_index());
    auto& mine = latencies.at(producer);
    mine.clear();
    std::size_t count = 0;
    for ([[maybe_unused]] const auto _ : state) {
        const auto begin = Clock::now();
        append(producer, producer * streams_per_producer + count++ % streams_per_producer);
        mine.push_back(std::chrono::duration<float, std::milli>(Clock::now() - begin).count());
    }
    state.SetItemsProcessed(state.iterations());
    if (producer != 0) return;
    // The loop has ended for all threads together.
    std::vector<float> all;
    for (std::size_t index = 0; index < static_cast<std::size_t>(state.threads()); ++index) {
        all.insert(all.end(), latencies.at(index).begin(), latencies.at(index).end());
    }
    const auto place = all.begin() + static_cast<std::ptrdiff_t>(all.size() * 99 / 100);
    std::ranges::nth_element(all, place);
    state.counters["p99_ms"] = benchmark::Counter{*place};
}

} // namespace benchmarks
