// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "fuzz_target.hpp"

#include <escqrs/codec/archive/json.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto bytes = std::as_bytes(std::span{data, size});
    fuzz::read_and_write_again<sample::Everything, escqrs::archive::Json>(bytes);
    fuzz::read_and_write_again<sample::Renamed, escqrs::archive::Json>(bytes);
    fuzz::read_and_write_again<sample::Numbers, escqrs::archive::Json>(bytes);
    fuzz::read_and_write_again<sample::Containers, escqrs::archive::Json>(bytes);
    fuzz::read_and_write_again<sample::Tree, escqrs::archive::Json>(bytes);
    fuzz::read_and_write_again<sample::Micros, escqrs::archive::Json>(bytes);
    fuzz::read_and_write_again<double, escqrs::archive::Json>(bytes);
    return 0;
}
