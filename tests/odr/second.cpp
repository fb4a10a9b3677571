// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "everything.hpp"

const void* address_in_second() { return &escqrs::system_clock(); }
