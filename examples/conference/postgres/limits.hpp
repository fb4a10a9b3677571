// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/postgres/connection.hpp>

#include <chrono>
#include <stop_token>
#include <utility>

// How long the roles wait for a PostgreSQL server that says nothing: docs/conference.md promises what follows from it.
namespace conference::postgres {

/// Of what a client waits for: a call of the store takes twice this time, and two seconds, at most; a query of the read
/// model takes it once.
constexpr std::chrono::seconds answer_timeout{4};

/// Of the worker's transactions, which wait for each other: longer than a paused one can hold the others up.
constexpr std::chrono::seconds turn_timeout{30};

/// @param stop  when it is requested, no wait lasts longer than a second
inline escqrs::postgres::ConnectionOptions limited(std::chrono::seconds timeout, std::stop_token stop)
{
    return {.answer_timeout = timeout, .stop = std::move(stop)};
}

} // namespace conference::postgres
