// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/core/hex.hpp>
#include <escqrs/testing/catch2.hpp>

#include <cstddef>
#include <string_view>
#include <vector>

TEST_CASE("each byte has two hexadecimal digits in lower case")
{
    CHECK(escqrs::to_hex(std::string_view{}).empty());
    CHECK(escqrs::to_hex(std::string_view{"\x00\x0f\x7f\x80\xff", 5}) == "000f7f80ff");
    CHECK(escqrs::to_hex(std::vector{std::byte{0xA1}, std::byte{0x0B}}) == "a10b");
}
