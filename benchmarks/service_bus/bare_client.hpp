// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "measurement.hpp"

#include <service_bus/connection_string.hpp>

#include <cstddef>
#include <string>

namespace service_bus_benchmark {

/// What the bare client is to do.
struct BareTask {
    enum class Kind : bool { send, receive };

    Kind kind;
    std::size_t messages;
    std::size_t in_flight; ///< at most so many at once
    std::string body;      ///< of every message sent
};

/// Sends or receives with Proton's C interface and nothing else: one connection, one token, one link, one thread, no
/// recovery. A message counts when the broker has accepted it, or has confirmed that it is completed. Its clock runs from
/// the attach of the link on; connection and token come before.
/// @throws std::runtime_error if the broker refuses anything
Measurement run_bare(const service_bus::Broker& broker, const BareTask& task);

} // namespace service_bus_benchmark
