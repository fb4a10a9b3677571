// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <stdexcept>

namespace escqrs {

/// Root of everything the library throws. The text says what failed, for which id, and expected against found.
class Error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// A text is not a valid UUID, stream id or category.
class InvalidIdentifier : public Error {
public:
    using Error::Error;
};

} // namespace escqrs
