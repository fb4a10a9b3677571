// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// Shared by rooms; not API.

#include <cstdint>

namespace escqrs::inline v0::detail {

/// FNV-1a, 64 bits: the same in every process and release. It reveals damage, not an attack.
/// http://www.isthe.com/chongo/tech/comp/fnv/
template <class Bytes>
constexpr std::uint64_t fnv1a(const Bytes& bytes) noexcept
{
    std::uint64_t hash = 0xCBF29CE484222325U;
    for (const auto byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001B3U;
    return hash;
}

} // namespace escqrs::inline v0::detail
