// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/timestamp.hpp>

#include <chrono>
#include <cstdint>

namespace conference::service_bus {

/// A .NET DateTime in UTC, which counts 100 ns from the beginning of the year 1.
inline escqrs::Timestamp from_dotnet_ticks(std::int64_t ticks)
{
    constexpr std::chrono::microseconds year_1{-62'135'596'800'000'000};
    return escqrs::Timestamp{year_1 + std::chrono::microseconds{ticks / 10}};
}

} // namespace conference::service_bus
