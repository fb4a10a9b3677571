// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <benchmark/benchmark.h>

#include <atomic>
#include <cstdint>

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_TOGGLE_COLLECT
#endif

namespace benchmarks {

/// Calls of `operator new` so far, by all threads (see allocations.cpp).
std::uint64_t allocations() noexcept;

/// The loop of a benchmark on one thread: calls `work()` as often as is asked for.
///
/// `calls` is how often that was in the whole program, for callgrind, which counts the instructions of this loop alone;
/// `allocations` those of one call.
template <class Work>
void repeat(benchmark::State& state, Work work)
{
    static std::uint64_t calls = 0;
    work(); // what is done once is done before
    const std::uint64_t allocations_before = allocations();
    CALLGRIND_TOGGLE_COLLECT;
    for ([[maybe_unused]] const auto _ : state) work();
    CALLGRIND_TOGGLE_COLLECT;
    const auto iterations = static_cast<double>(state.iterations());
    state.counters["allocations"] = static_cast<double>(allocations() - allocations_before) / iterations;
    state.counters["calls"] = static_cast<double>(calls += static_cast<std::uint64_t>(state.iterations()));
}

} // namespace benchmarks
