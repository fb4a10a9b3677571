// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// Events to bytes and back, in the binary format and in JSON, and upcasting. <escqrs/codec/archive/boost.hpp>, which is
// costly to compile, adapts the macros of Boost.Serialization.
#include <escqrs/codec/archive/binary.hpp>
#include <escqrs/codec/archive/json.hpp>
#include <escqrs/codec/codec.hpp>
#include <escqrs/codec/metadata.hpp>
#include <escqrs/codec/upcasting.hpp>
