// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "repeat.hpp"

#include <cstdlib>
#include <new>

namespace {
std::atomic<std::uint64_t> count{0};
} // namespace

std::uint64_t benchmarks::allocations() noexcept { return count.load(std::memory_order_relaxed); }

void* operator new(std::size_t size)
{
    count.fetch_add(1, std::memory_order_relaxed);
    void* const memory = std::malloc(size); // NOLINT: this is where memory comes from
    if (memory == nullptr) throw std::bad_alloc{};
    return memory;
}

void operator delete(void* memory) noexcept { std::free(memory); }              // NOLINT
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); } // NOLINT
