// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/codec/archive/detail/binary_layout.hpp>
#include <escqrs/codec/archive/operators.hpp>
#include <escqrs/core/error.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

// The errors of BinaryInput. These functions take values, not the archive: as long as nothing takes the archive's
// address it lives in registers, and a stored event is replayed in three quarters of the time.
namespace escqrs::inline v0::archive::detail {

/// How many bytes were read, and how many are left.
struct ReadingPlace {
    std::size_t offset = 0;
    std::size_t left = 0;
};

[[noreturn, gnu::cold, gnu::noinline]] inline void fail_at(ReadingPlace place, const std::string& why)
{
    throw CodecError{"binary archive: " + why + " at byte " + std::to_string(place.offset)};
}

[[noreturn, gnu::cold, gnu::noinline]] inline void fail_short(ReadingPlace place, std::uint64_t length,
                                                              const char* what)
{
    fail_at(place, std::string{"expected "} + what + " of " + std::to_string(length) + " bytes, found " +
                       std::to_string(place.left));
}

[[noreturn, gnu::cold, gnu::noinline]] inline void fail_count(ReadingPlace place, std::uint64_t count, const char* what)
{
    fail_at(place, std::string{"expected "} + what + " of " + std::to_string(count) + " elements, found only " +
                       std::to_string(place.left) + " bytes");
}

/// For a value that has just been read.
[[noreturn, gnu::cold, gnu::noinline]] inline void fail_value(ReadingPlace place, const char* expected,
                                                              std::uint64_t found)
{
    fail_at({place.offset - 1, place.left}, std::string{"expected "} + expected + ", found " + std::to_string(found));
}

[[noreturn, gnu::cold, gnu::noinline]] inline void fail_depth(ReadingPlace place)
{
    fail_at(place, "expected classes nested at most " + std::to_string(max_depth) + " deep, found more");
}

[[noreturn, gnu::cold, gnu::noinline]] inline void fail_empty_elements(ReadingPlace place)
{
    fail_at(place,
            "expected at most " + std::to_string(max_empty_elements) + " elements that take no bytes, found more");
}

[[noreturn, gnu::cold, gnu::noinline]] inline void fail_trailing(ReadingPlace place)
{
    fail_at(place, "expected the end, found " + std::to_string(place.left) + " more bytes");
}

} // namespace escqrs::inline v0::archive::detail
