// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// Events to bytes and back, in the binary format and in JSON, and upcasting. Boost's own archives cost more to compile:
// <escqrs/codec/archive/boost_text.hpp> and <escqrs/codec/archive/boost_xml.hpp> are the formats of a Codec, and
// <escqrs/codec/archive/boost.hpp> has what Boost's archives need otherwise. <escqrs/codec/fold.hpp> reads streams as
// typed events.
#include <escqrs/codec/archive/binary.hpp>
#include <escqrs/codec/archive/json.hpp>
#include <escqrs/codec/codec.hpp>
#include <escqrs/codec/metadata.hpp>
#include <escqrs/codec/upcasting.hpp>
