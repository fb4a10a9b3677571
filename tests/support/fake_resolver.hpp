// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstddef>

// A program that links this looks up names by way of fake_resolver.cpp: those that end in ".here.test" are 127.0.0.1, all others are
// what they are.

/// While it lives, a look-up of `hangs.test` does not return.
class HangingResolver {
public:
    static constexpr const char* name = "hangs.test";

    HangingResolver();
    ~HangingResolver(); ///< ends the look-ups, and waits until they have returned

    HangingResolver(const HangingResolver&) = delete;
    HangingResolver& operator=(const HangingResolver&) = delete;

    /// Waits until that many look-ups have begun.
    void wait_for_lookups(std::size_t count) const;

    /// Whether none of those that have begun has returned. They do after some seconds, lest a test hang for ever.
    bool all_hang() const;
};
