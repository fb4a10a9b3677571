// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "everything.hpp"

const void* address_in_second();

const void* address_in_first() { return &escqrs::system_clock(); }

/// The default clock is one object, whichever translation unit asks for it.
int main() { return address_in_first() == address_in_second() ? 0 : 1; }
