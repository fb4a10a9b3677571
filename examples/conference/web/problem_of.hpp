// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../http/problem.hpp"

#include <exception>

namespace conference::web {

/// The problem that an exception means to the client. Of our own failures it says only that there was one.
http::Problem problem_of(const std::exception& error);

} // namespace conference::web
