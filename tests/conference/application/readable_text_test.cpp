// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "application/readable_text.hpp"

#include <escqrs/testing/catch2.hpp>

#include <string>

using conference::readable;

TEST_CASE("readable text is one line of UTF-8, whatever it was")
{
    CHECK(readable("a\r\nb\tc\x1B[0m\x7F", 100) == "a  b c [0m ");
    CHECK(readable(std::string{"nul\0end", 7}, 100) == "nul end");
    CHECK(readable("next\xC2\x85line\xE2\x80\xA8separator\xE2\x80\xA9paragraph", 100) ==
          "next line separator paragraph");
    CHECK(readable("M\xC3\xBCller \xE2\x80\x93 \xC2\xA0 \xF0\x9F\x9A\x80", 100) ==
          "M\xC3\xBCller \xE2\x80\x93 \xC2\xA0 \xF0\x9F\x9A\x80");
    CHECK(readable("\xC0\x8A \xED\xA0\x80 \xC2", 100) == "?? ??? ?");
    CHECK(readable("M\xC3\xBCller", 2) == "M");
}
