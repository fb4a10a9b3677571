// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>

namespace escqrs::inline v0::testing {

/// What happened is not what a test expected; `what()` has the difference over several lines, and the place.
///
/// No `escqrs::Error`, and thrown outside the code under test, so that nothing there catches it. Every test framework
/// reports an exception that leaves a test case; so does a plain `main`.
class ExpectationFailed : public std::logic_error {
public:
    using std::logic_error::logic_error;
};

namespace detail {

/// `at attendee_test.cpp:42`: without the folders, which differ from machine to machine.
inline std::string place_text(const std::source_location& where)
{
    const std::string_view file = where.file_name();
    return "at " + std::string{file.substr(file.find_last_of('/') + 1)} + ":" + std::to_string(where.line());
}

} // namespace detail
} // namespace escqrs::inline v0::testing
