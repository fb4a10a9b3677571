// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/backoff.hpp>

namespace conference {

using escqrs::Backoff;

} // namespace conference
