// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/core/hash.hpp>
#include <escqrs/testing/catch2.hpp>

#include <cstddef>
#include <string_view>
#include <vector>

TEST_CASE("FNV-1a gives what its authors publish")
{
    using escqrs::detail::fnv1a;
    CHECK(fnv1a(std::string_view{}) == 0xCBF29CE484222325U);
    CHECK(fnv1a(std::string_view{"a"}) == 0xAF63DC4C8601EC8CU);
    CHECK(fnv1a(std::string_view{"foobar"}) == 0x85944171F73967E8U);
    CHECK(fnv1a(std::vector{std::byte{'a'}}) == 0xAF63DC4C8601EC8CU);
}
