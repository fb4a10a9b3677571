// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../http/metrics.hpp"

#include <escqrs/command_bus.hpp>

namespace conference::web {

/// A middleware that counts commands by outcome and measures how long they take.
/// @param metrics  must outlive the bus
escqrs::CommandMiddleware measure_commands(http::Metrics& metrics);

} // namespace conference::web
