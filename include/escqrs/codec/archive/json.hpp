// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/codec/archive/json_input.hpp>
#include <escqrs/codec/archive/json_output.hpp>

#include <string_view>

namespace escqrs::inline v0::archive {

/// JSON (RFC 8259) for a `Codec`: for queues and people.
///
/// A class is an object of the fields that `serialize` names, in that order. When reading, they may come in any order,
/// a `std::optional` may be missing, and unknown fields are ignored. A class that only passes on one unnamed value,
/// such as `Id`, is written as that value. Naming a field twice, or naming some values and not others, is an error.
///
/// Integers are exact over all 64 bits, numbers read back to the same bits, enums are their underlying number,
/// described ones the name of their value (see codec/describe.hpp). Text
/// must be UTF-8. `std::vector<std::byte>` is base64, a UUID its text, a duration its count, a point of the system
/// clock an RFC 3339 time in UTC, an empty optional `null`, a map with text keys an object and any other an array of
/// `[key, value]`, a variant `{"index":1,"value":...}`.
///
/// A class nested in an event receives the schema version of the event: raise that when the nested class changes.
struct Json {
    /// Names the format in what is stored.
    static constexpr std::string_view content_type = "application/json";
    using Output = JsonOutput; ///< writes one event
    using Input = JsonInput;   ///< reads one event
};

} // namespace escqrs::inline v0::archive
