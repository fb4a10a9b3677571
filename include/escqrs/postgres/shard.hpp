// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/identifiers.hpp>

#include <cstddef>
#include <cstdint>

namespace escqrs::postgres {

/// Which of `shards` a stream belongs to; the same in every process and release.
inline std::size_t shard_of(const StreamId& stream, std::size_t shards) noexcept
{
    std::uint64_t hash = 0xCBF29CE484222325U; // FNV-1a: http://www.isthe.com/chongo/tech/comp/fnv/
    for (const char character : stream.text()) hash = (hash ^ static_cast<unsigned char>(character)) * 0x100000001B3U;
    hash = (hash ^ hash >> 33U) * 0xFF51AFD7ED558CCDU; // names that differ in the end only, spread over all bits
    return static_cast<std::size_t>(hash >> 33U) % shards;
}

} // namespace escqrs::postgres
