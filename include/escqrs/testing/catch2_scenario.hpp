// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/expectation_failed.hpp>

#include <utility>

namespace escqrs::inline v0::testing {

/// Runs a scenario as one assertion of Catch2, which then counts it; if it fails, its text is reported and the test
/// case continues. Without this, a failure is reported as well, and ends the test case.
template <class Scenario>
void check_scenario(Scenario&& scenario)
{
    try {
        std::forward<Scenario>(scenario)();
        SUCCEED();
    } catch (const ExpectationFailed& failure) {
        FAIL_CHECK(failure.what());
    }
}

} // namespace escqrs::inline v0::testing
