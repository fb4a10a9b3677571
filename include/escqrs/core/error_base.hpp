// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/config.hpp>

#include <cstdint>
#include <stdexcept>

namespace escqrs::inline v0 {

/// What a failure says about the work that failed.
enum class FailureKind : std::uint8_t {
    /// It fails again with the same values: the work itself is at fault.
    refused,
    /// Others were in the way, or the connection was lost: it may succeed at once.
    interrupted,
    /// No such work can be done now, whatever the values: it may succeed later.
    unavailable,
    /// No such work can be done until a person has set something right.
    broken,
};

/// Root of everything the library throws. The text says what failed, for which id, and expected against found.
class ESCQRS_EXPORT Error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;

    /// What the failure says about the work that failed; `classify` returns it for any exception.
    virtual FailureKind failure_kind() const noexcept { return FailureKind::refused; }
};

/// A text is not a valid UUID, stream id or category.
class ESCQRS_EXPORT InvalidIdentifier : public Error {
public:
    using Error::Error;
};

/// Bytes cannot be decoded into an event, or an event into bytes.
class ESCQRS_EXPORT CodecError : public Error {
public:
    using Error::Error;
};

} // namespace escqrs::inline v0
