// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/timestamp.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace service_bus {

/// An AMQP timestamp. What lies outside the years 1 to 9999 is taken for their beginning or end: peers write both for
/// "never", and a number from the wire may be anything.
inline escqrs::Timestamp from_amqp_timestamp(std::int64_t milliseconds)
{
    using std::chrono::sys_days;
    constexpr auto earliest = std::chrono::milliseconds{sys_days{std::chrono::year{1} / 1 / 1}.time_since_epoch()};
    constexpr auto end = std::chrono::milliseconds{sys_days{std::chrono::year{10'000} / 1 / 1}.time_since_epoch()};
    return escqrs::Timestamp{
        std::chrono::milliseconds{std::clamp<std::int64_t>(milliseconds, earliest.count(), end.count() - 1)}};
}

/// A .NET DateTime in UTC, which counts 100 ns from the beginning of the year 1.
inline escqrs::Timestamp from_dotnet_ticks(std::int64_t ticks)
{
    constexpr std::chrono::microseconds year_1{-62'135'596'800'000'000};
    return escqrs::Timestamp{year_1 + std::chrono::microseconds{ticks / 10}};
}

} // namespace service_bus
