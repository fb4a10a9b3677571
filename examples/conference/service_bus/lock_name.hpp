// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "link_id.hpp"

#include <string>
#include <variant>

namespace service_bus {

/// Names a lock: that of a session by the link that holds it, that of a message by its lock token.
using LockName = std::variant<LinkId, std::string>;

} // namespace service_bus
