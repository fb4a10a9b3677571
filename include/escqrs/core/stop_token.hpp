// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <condition_variable>
#include <thread>
#include <version>

#if defined(__cpp_lib_jthread)
#include <stop_token>
#else
#include <escqrs/core/detail/own_stop_token.hpp>
#endif

namespace escqrs::inline v0 {

/// Threads that can be stopped: the standard library's, under these names as well.
///
/// libc++ 19 and older have them only with `-fexperimental-library`. Without it these are the library's own, with the
/// members that the standard specifies; programs for such a standard library write `escqrs::stop_source` for
/// `std::stop_source`, and need no flag.
#if defined(__cpp_lib_jthread)
using std::condition_variable_any;
using std::jthread;
using std::nostopstate;
using std::nostopstate_t;
using std::stop_callback;
using std::stop_source;
using std::stop_token;
#else
using detail::own::condition_variable_any;
using detail::own::jthread;
using detail::own::nostopstate;
using detail::own::nostopstate_t;
using detail::own::stop_callback;
using detail::own::stop_source;
using detail::own::stop_token;
#endif

} // namespace escqrs::inline v0
