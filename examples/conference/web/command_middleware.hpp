// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../application/attendee_handlers.hpp"
#include "../http/metrics.hpp"

#include <escqrs/commands/command_bus.hpp>

namespace conference::web {

/// What happens around every command, from the outside in: it is measured, a repeat gets the first answer, and a
/// conflict is tried again.
/// @param attendees  makes a single attempt, so that attempts do not multiply; must outlive the bus
/// @param metrics    must outlive the bus
void use_command_middleware(escqrs::CommandBus& bus, const AttendeeRepository& attendees, http::Metrics& metrics);

} // namespace conference::web
