// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstdint>

namespace escqrs::inline v0 {

/// What a consumer of a queue must do with an event of a stream, judging by its version.
enum class Advance : std::uint8_t {
    apply,     ///< it is the next one
    duplicate, ///< it was applied before
    gap,       ///< one before it has not been applied yet
};

} // namespace escqrs::inline v0
