// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/postgres/lease.hpp>

#include "postgres/server.hpp"

#include <chrono>
#include <functional>
#include <string>
#include <thread>

namespace postgres_test {

/// How long leases of tests last.
inline constexpr std::chrono::milliseconds short_while{400};

/// Waits until `condition` holds.
/// @return false if it does not come to hold
inline bool comes_true(const std::function<bool()>& condition)
{
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{30};
    while (std::chrono::steady_clock::now() < deadline) {
        if (condition()) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds{10});
    }
    return false;
}

/// Where a test keeps its leases.
struct Place {
    std::string address = Server::shared().address();
    std::string schema = Server::shared().new_schema();

    escqrs::postgres::LeaseOptions options(const std::string& holder = escqrs::postgres::new_lease_holder()) const
    {
        return {short_while, holder, schema};
    }
};

} // namespace postgres_test
