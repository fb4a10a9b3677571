// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// Everything is in the inline namespace v0, so that a program may hold libraries that were built with different major versions.

// A program may define ESCQRS_SEPARATE_COMPILATION for all its files. Then the headers only declare the larger functions that
// are no templates, and one of the files compiles them: it includes <escqrs/src.hpp> or <escqrs/sqlite/src.hpp>.
#if !defined(ESCQRS_SEPARATE_COMPILATION)
#define ESCQRS_HAS_BODIES 1
#define ESCQRS_INLINE inline
#elif defined(ESCQRS_SOURCE)
#define ESCQRS_HAS_BODIES 1
#define ESCQRS_INLINE
#else
#define ESCQRS_HAS_BODIES 0
#define ESCQRS_INLINE
#endif

// On exceptions: visible outside their shared library although all else is hidden (-fvisibility=hidden), so that a program catches
// what its plugins throw. Some platforms compare types by the address of their description.
#if !defined(ESCQRS_EXPORT)
#if defined(__GNUC__)
#define ESCQRS_EXPORT [[gnu::visibility("default")]]
#else
#define ESCQRS_EXPORT
#endif
#endif
