// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/timestamp.hpp>

#include <cstdint>
#include <string>
#include <variant>

namespace service_bus {

/// The value of an application property with its AMQP type: string, boolean, long, double or timestamp. Rules compare values of
/// the same type.
using PropertyValue = std::variant<std::string, bool, std::int64_t, double, escqrs::Timestamp>;

} // namespace service_bus
