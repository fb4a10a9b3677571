// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

/// Compiles the functions that ESCQRS_SEPARATE_COMPILATION leaves out of a program's files. One file of the program includes
/// this before any other header of the library, or <escqrs/sqlite/src.hpp>, which adds those of SQLite.
#pragma once

#if defined(ESCQRS_SEPARATE_COMPILATION) && defined(ESCQRS_INLINE) && !defined(ESCQRS_SOURCE)
#error "escqrs: include <escqrs/src.hpp> before any other header of the library"
#endif
#define ESCQRS_SOURCE

#include <escqrs/escqrs.hpp>
#include <escqrs/in_memory.hpp>
