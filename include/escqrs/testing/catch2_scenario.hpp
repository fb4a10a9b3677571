// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/expectation_failed.hpp>

#include <utility>

namespace escqrs::testing {

/// Runs a scenario as one assertion of Catch2, which then counts it; if it fails, its text is reported and the test case goes
/// on. Without this, a failure ends the test case and is reported as well.
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

} // namespace escqrs::testing
