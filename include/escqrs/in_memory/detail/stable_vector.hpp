// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace escqrs::inline v0::detail {

/// A vector that only grows and never moves an element, so that readers need no lock.
///
/// Segment k holds `first_segment << k` elements.
/// @par Thread safety  one writer at a time; `size` and `operator[]` below it from any thread meanwhile
template <class T, std::size_t first_segment = 1024>
class StableVector {
public:
    std::size_t size() const noexcept { return size_.load(std::memory_order_acquire); }

    /// @param index  below `size`
    const T& operator[](std::uint64_t index) const noexcept
    {
        const auto [segment, offset] = place_of(static_cast<std::size_t>(index));
        return segments_[segment].load(std::memory_order_acquire)[offset];
    }

    /// Stages an element after the end, or after those staged; `publish` makes all of them visible at once. Elements
    /// that were staged and not published may be staged again.
    void stage(std::size_t index, const T& value)
    {
        const auto [segment, offset] = place_of(index);
        std::vector<T>& owned = owned_[segment];
        if (owned.capacity() == 0) {
            owned.reserve(first_segment << segment); // and no more: memory that is not in use yet is not touched either
            segments_[segment].store(owned.data(), std::memory_order_release);
        }
        if (offset < owned.size()) owned[offset] = value;
        else owned.push_back(value);
    }

    void publish(std::size_t new_size) noexcept { size_.store(new_size, std::memory_order_release); }

private:
    static constexpr std::size_t segment_count = 48;
    static constexpr auto first_bits = static_cast<std::size_t>(std::countr_zero(first_segment));
    static_assert(std::has_single_bit(first_segment));

    static std::pair<std::size_t, std::size_t> place_of(std::size_t index) noexcept
    {
        const std::size_t shifted = index + first_segment;
        const auto segment = static_cast<std::size_t>(std::bit_width(shifted)) - 1 - first_bits;
        return {segment, shifted - (first_segment << segment)};
    }

    std::atomic<std::size_t> size_{0};
    std::array<std::atomic<const T*>, segment_count> segments_{};
    std::array<std::vector<T>, segment_count> owned_;
};

} // namespace escqrs::inline v0::detail
