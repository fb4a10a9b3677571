// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "fuzz_target.hpp"

#include <escqrs/codec/archive/binary.hpp>

/// The binary format is canonical: what is read is written again in as many bytes.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto bytes = std::as_bytes(std::span{data, size});
    if (const auto again = fuzz::read_and_write_again<sample::Everything, escqrs::archive::Binary>(bytes)) {
        fuzz::require(again->size() == size);
    }
    fuzz::read_and_write_again<sample::Renamed, escqrs::archive::Binary>(bytes);
    return 0;
}
