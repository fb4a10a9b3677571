// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/lending.hpp"

#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/given_when_then.hpp>
#include <escqrs/testing/specification.hpp>

#include <sstream>

using namespace escqrs::testing;
using namespace lending;

TEST_CASE("specification: a program by itself needs no test framework")
{
    std::ostringstream out;

    SECTION("all hold")
    {
        CHECK(check({{"a book can be lent",
                      [] {
                          given<Lending>().when(Lend{{}, "Ada"}).then(BookLent{"Ada"});
                      }}},
                    out) == 0);
        CHECK(out.str() == "ok      a book can be lent\n");
    }
    SECTION("one fails, with its difference, and the others are run")
    {
        CHECK(check({{"a book can be lent",
                      [] {
                          given<Lending>().when(Lend{{}, "Ada"}).then_nothing();
                      }},
                     {"an exception", [] { throw Refused{"no"}; }},
                     {"nothing", [] {}}},
                    out) == 1);
        const auto text = out.str();
        CHECK(text.starts_with("FAILED  a book can be lent\n"
                               "        expected no events, found 1 event\n"
                               "          1. expected no event, found BookLent{reader: 'Ada'}\n"
                               "        given nothing\n"
                               "        when Lend\n"
                               "        at specification_test.cpp:"));
        CHECK(text.ends_with("FAILED  an exception\n"
                             "        lending::Refused was thrown: no\n"
                             "ok      nothing\n"));
    }
}
