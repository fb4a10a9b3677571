// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/id_generator.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>

namespace escqrs {

/// Draws a number from 0 up to, but not including, 1, by which delays are spread. Called from any thread at once, so it
/// must be thread-safe.
using Jitter = std::function<double()>;

/// Such a number from the operating system's source, which differs in every process.
inline double random_jitter()
{
    const Uuid uuid = random_uuid();
    std::uint64_t random = 0;
    for (std::size_t byte = 9; byte < 16; ++byte) random = random << 8U | uuid.data[byte]; // byte 8 has fixed bits
    return static_cast<double>(random >> 3U) * 0x1p-53; // 53 of the 56 bits, as many as a double holds
}

} // namespace escqrs
