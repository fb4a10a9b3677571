// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/codec/archive/binary_input.hpp>
#include <escqrs/codec/archive/binary_output.hpp>

#include <string_view>

namespace escqrs::inline v0::archive {

/// The compact, portable format, for a `Codec`: names are left out, fields stand in the order in which `serialize`
/// names them, so the order is part of the schema version.
///
/// Integers, enums (as their underlying type) and IEEE 754 numbers are little-endian and of fixed width; use types of
/// fixed width, since `long` differs between platforms. A described enum is the text of its value's name (see
/// codec/describe.hpp). A boolean is one byte, 0 or 1. Lengths, counts and the index of
/// a variant's alternative are LEB128 in the shortest form. Texts, sequences, sets and maps are a count and the
/// elements; arrays, pairs, tuples and classes just their parts. An optional is a boolean and, if that is 1, the value.
/// A UUID is its 16 bytes; durations and points in time are 64-bit counts of their own unit.
///
/// A class nested in an event receives the schema version of the event: raise that when the nested class changes.
///
/// A `Codec` refuses to write what JSON, the format of messages, cannot express: text that is not UTF-8, numbers that
/// are not finite, times outside the years 0 to 9999, more than 64 levels of nesting. For events that are never sent as
/// JSON, give the codec your own format, derived from this one, in which `json_values_only` is false.
struct Binary {
    /// Names the format in what is stored.
    static constexpr std::string_view content_type = "application/vnd.escqrs.binary";
    /// Makes a `Codec` refuse what JSON cannot express, at writing.
    static constexpr bool json_values_only = true;
    using Output = BinaryOutput; ///< writes one event
    using Input = BinaryInput;   ///< reads one event
};

} // namespace escqrs::inline v0::archive
