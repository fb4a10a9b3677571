// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Boost has its own to_string for UUIDs; no header may find both.
#include <boost/uuid/uuid_io.hpp>

#include "everything.hpp"

const void* address_in_second() { return &escqrs::system_clock(); }
