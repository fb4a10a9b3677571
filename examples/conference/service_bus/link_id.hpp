// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstdint>

namespace service_bus {

/// Names a receiving link; never used again for another one.
enum class LinkId : std::uint64_t {};

} // namespace service_bus
