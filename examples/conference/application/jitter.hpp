// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/id_generator.hpp>

#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <random>

namespace conference {

/// Draws a number from 0 up to, but not including, 1.
using Jitter = std::function<double()>;

/// A source of such numbers that is different in every process. One thread at a time.
inline Jitter random_jitter()
{
    std::uint64_t seed = 0;
    const escqrs::Uuid uuid = escqrs::random_uuid();
    std::memcpy(&seed, uuid.data + 8, sizeof seed);
    // Shared by the copies: each draw is to be another one.
    return [generator = std::make_shared<std::mt19937_64>(seed)] {
        return std::uniform_real_distribution<double>{0.0, 1.0}(*generator);
    };
}

} // namespace conference
