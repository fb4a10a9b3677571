// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "http/memory_reserve.hpp"

#include <escqrs/testing/catch2.hpp>

#include <cstddef>
#include <limits>

using http::MemoryReserve;

TEST_CASE("a reserve that was given up is taken again when there is memory for it")
{
    MemoryReserve reserve;
    CHECK(reserve.is_whole());
    reserve.give_up();
    reserve.give_up();
    CHECK(reserve.is_whole());
    MemoryReserve beyond_all_memory{std::numeric_limits<std::size_t>::max() / 2};
    CHECK_FALSE(beyond_all_memory.is_whole());
    beyond_all_memory.give_up();
    CHECK_FALSE(beyond_all_memory.is_whole());
}
