// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// On its own, so that no call of these operators is inlined or left out.
#include "operator_new.hpp"

#include <cstdlib>
#include <new>

namespace {

thread_local std::size_t count = 0;
thread_local std::size_t until_failure = 0; // 0: none

} // namespace

std::size_t test::allocations() noexcept { return count; }

void test::fail_allocation(std::size_t number) noexcept { until_failure = number; }

// NOLINTBEGIN(cppcoreguidelines-no-malloc): what these operators are made of

void* operator new(std::size_t size, const std::nothrow_t&) noexcept
{
    ++count;
    if (until_failure > 0 && --until_failure == 0) return nullptr;
    return std::malloc(size == 0 ? 1 : size);
}

void* operator new(std::size_t size)
{
    if (void* const memory = operator new(size, std::nothrow)) return memory;
    throw std::bad_alloc{};
}

void* operator new[](std::size_t size) { return operator new(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return operator new(size, std::nothrow); }

void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }

// NOLINTEND(cppcoreguidelines-no-malloc)
