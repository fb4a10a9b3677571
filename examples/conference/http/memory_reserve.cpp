// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "memory_reserve.hpp"

#include <sys/mman.h>

namespace http {

// Mapped, not allocated: an allocator might keep for itself what it is given back.

void MemoryReserve::give_up() noexcept
{
    if (void* const memory = memory_.exchange(nullptr)) munmap(memory, bytes_);
}

bool MemoryReserve::is_whole() noexcept
{
    if (memory_.load(std::memory_order_relaxed) != nullptr) return true;
    void* const memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return false; // NOLINT: the macro casts
    void* none = nullptr;
    if (!memory_.compare_exchange_strong(none, memory)) munmap(memory, bytes_); // another thread was faster
    return true;
}

} // namespace http
