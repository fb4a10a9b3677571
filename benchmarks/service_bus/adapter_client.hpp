// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "measurement.hpp"

#include <service_bus/message_queue.hpp>

#include <escqrs/messaging/message_queue.hpp>

#include <cstddef>
#include <span>

namespace service_bus_benchmark {

/// How the adapter is used.
struct AdapterTask {
    service_bus::QueueSettings queue; ///< its use and its windows are set here
    std::size_t in_flight = 1;        ///< at most so many messages at once, of all callers
    std::size_t callers = 1;          ///< threads; each has its share of those in flight
    std::size_t prefetch = 0;         ///< so many of those in flight wait to be asked for
};

/// Sends the messages; each caller gives `per_call` of them to one `send`.
/// @throws escqrs::TransportError
Measurement send_with_adapter(AdapterTask task, std::span<const escqrs::Message> messages, std::size_t per_call);

/// Receives and completes so many messages; each call of `receive` asks for the caller's share of those in flight.
/// @throws escqrs::TransportError
/// @throws std::runtime_error if the queue has fewer, or does not confirm one
Measurement receive_with_adapter(AdapterTask task, std::size_t messages);

} // namespace service_bus_benchmark
