// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/testing/expectation_failed.hpp>

#include <string>

/// What the kit says against a scenario, without its last line, which tells where; empty if it is content.
template <class Scenario>
std::string failure_text(const Scenario& scenario)
{
    try {
        scenario();
    } catch (const escqrs::testing::ExpectationFailed& failure) {
        const std::string text = failure.what();
        return text.substr(0, text.rfind("\nat "));
    }
    return {};
}
