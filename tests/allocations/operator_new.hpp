// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstddef>

namespace test {

/// How often this thread has called `operator new`. For programs that link operator_new.cpp.
std::size_t allocations() noexcept;

/// Lets one of this thread's coming allocations fail, once: 1 is the next one, 0 is none.
void fail_allocation(std::size_t number) noexcept;

} // namespace test
