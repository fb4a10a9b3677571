// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/testing/detail/thrown.hpp>
#include <escqrs/testing/expectation_failed.hpp>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <functional>
#include <initializer_list>
#include <ostream>
#include <string>

namespace escqrs::inline v0::testing {

/// A sentence about the program, and the scenario that shows it.
struct Specification {
    std::string sentence;           ///< what the program does
    std::function<void()> scenario; ///< throws if the sentence is not true
};

/// Runs specifications where there is no test framework: `int main() { return check({{"...", [] { ... }}}, std::cout);
/// }`.
///
/// Writes each sentence with `ok` or `FAILED`, and why. All are run, whatever one of them throws.
/// @return 0 if all hold, else 1
inline int check(std::initializer_list<Specification> specifications, std::ostream& out)
{
    int result = 0;
    for (const auto& [sentence, scenario] : specifications) {
        std::string failure;
        try {
            scenario();
        } catch (const ExpectationFailed& failed) {
            failure = failed.what();
        } catch (...) {
            failure = detail::thrown_text(std::current_exception());
        }
        out << (failure.empty() ? "ok      " : "FAILED  ") << sentence << '\n';
        if (failure.empty()) continue;
        result = 1;
        for (std::size_t begin = 0; begin <= failure.size();) {
            const auto end = std::min(failure.find('\n', begin), failure.size());
            out << "        " << failure.substr(begin, end - begin) << '\n';
            begin = end + 1;
        }
    }
    return result;
}

} // namespace escqrs::inline v0::testing
