// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// All that a program has to write to compile the library's functions apart from its own files.
#include <escqrs/sqlite/src.hpp>
