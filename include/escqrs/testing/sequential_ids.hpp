// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/identifiers.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace escqrs::inline v0::testing {

/// An id generator that counts: 00000000-0000-4000-8000-000000000001, ...2, and so on. For `RepositoryOptions::ids`.
///
/// Copies continue the same count.
/// @par Thread safety  any thread; each id is returned once
class SequentialIds {
public:
    /// The next id of the count.
    Uuid operator()() const { return nth(next_->fetch_add(1, std::memory_order_relaxed)); }

    /// The id number `number`, of which the first is 1.
    static constexpr Uuid nth(std::uint64_t number) noexcept
    {
        Uuid uuid{};
        for (std::size_t byte = 15; number != 0 && byte > 8; --byte, number >>= 8U) {
            uuid.data[byte] = static_cast<std::uint8_t>(number & 0xFFU);
        }
        uuid.data[6] = 0x40; // version 4 and its variant, as RFC 9562 has them
        uuid.data[8] = 0x80;
        return uuid;
    }

private:
    std::shared_ptr<std::atomic<std::uint64_t>> next_ = std::make_shared<std::atomic<std::uint64_t>>(1);
};

} // namespace escqrs::inline v0::testing
