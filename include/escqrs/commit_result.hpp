// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/identifiers.hpp>

namespace escqrs {

/// What a saved change tells its caller: version of the stream and log position after its last event.
struct CommitResult {
    StreamId stream;
    StreamVersion version;
    GlobalPosition position;

    friend bool operator==(const CommitResult&, const CommitResult&) = default;
};

} // namespace escqrs
