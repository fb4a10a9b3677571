// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstddef>

namespace test {

/// How often this thread has called `operator new`. Counted in programs that link operator_new.cpp.
std::size_t allocations() noexcept;

} // namespace test
