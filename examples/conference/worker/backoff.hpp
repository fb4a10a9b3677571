// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/id_generator.hpp>
#include <escqrs/timestamp.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <utility>

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

/// Delays that double after each failure, each drawn from the upper half, so that many who failed at once do not come
/// back at once.
/// @par Thread safety  none
class Backoff {
public:
    Backoff(escqrs::Duration first, escqrs::Duration longest, Jitter jitter)
        : first_{first}, longest_{longest}, delay_{first}, jitter_{std::move(jitter)}
    {
    }

    escqrs::Duration next()
    {
        const auto whole = static_cast<double>(delay_.count());
        const auto drawn = escqrs::Duration{static_cast<escqrs::Duration::rep>(whole * (0.5 + 0.5 * jitter_()))};
        delay_ = std::min(2 * delay_, longest_);
        return drawn;
    }

    void reset() noexcept { delay_ = first_; }

private:
    escqrs::Duration first_;
    escqrs::Duration longest_;
    escqrs::Duration delay_;
    Jitter jitter_;
};

} // namespace conference
