// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Boost has a to_string of its own for UUIDs; no header may come to find both.
#include <boost/uuid/uuid_io.hpp>

#include "everything.hpp"

const void* address_in_second() { return &escqrs::system_clock(); }
