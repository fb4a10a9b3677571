// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../codec/archive/sample.hpp"

#include <escqrs/core/error.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace fuzz {

inline void require(bool condition)
{
    if (!condition) std::abort();
}

/// Reads a `T` from `bytes`. Whatever can be read can be written, and what is written reads back to what is written the
/// same. (Sizes are compared: the order within an unordered map may differ.)
/// @return what was written; nothing if the bytes are refused
template <class T, class Format>
std::optional<std::vector<std::byte>> read_and_write_again(std::span<const std::byte> bytes)
{
    T value{};
    try {
        sample::decode_into<Format>(value, bytes);
    } catch (const escqrs::CodecError&) {
        return std::nullopt;
    }
    const auto first = sample::encode<Format>(value);
    const auto second = sample::encode<Format>(sample::decode<T, Format>(first));
    require(first.size() == second.size());
    return first;
}

} // namespace fuzz
