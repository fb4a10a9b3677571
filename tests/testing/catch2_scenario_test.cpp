// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/lending.hpp"

#include <escqrs/testing/catch2_scenario.hpp>
#include <escqrs/testing/given_when_then.hpp>

using namespace escqrs::testing;
using namespace lending;

TEST_CASE("catch2 scenario: one that holds is an assertion that passed")
{
    check_scenario([] { given<Lending>().when(Lend{{}, "Ada"}).then(BookLent{"Ada"}); });
}

TEST_CASE("catch2 scenario: one that fails fails the test case", "[!shouldfail]")
{
    check_scenario([] { given<Lending>().when(Lend{{}, "Ada"}).then_nothing(); });
}

TEST_CASE("catch2 scenario: an exception that is no failed expectation is left to Catch2")
{
    CHECK_THROWS_AS(check_scenario([] { throw Refused{"no"}; }), Refused);
}
