// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/error.hpp>

#include <string>

/// Text of the `TransportError` that `action` throws; empty: it throws none.
template <class Action>
std::string error_of(Action action)
{
    try {
        action();
    } catch (const escqrs::TransportError& error) {
        return error.what();
    }
    return {};
}
