// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <service_bus/message_queue.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace service_bus_benchmark {

/// How long it took until messages went again, one figure for each dropped connection.
struct RecoveryTimes {
    std::vector<std::chrono::duration<double, std::milli>> to_accepted_send;
    std::vector<std::chrono::duration<double, std::milli>> to_received_message;
};

/// Sends and receives without a pause over one connection of the adapter's while it is dropped so many times. A time runs
/// from just before `drop` until the first `send`, or `receive` with a message, that returns with a new connection.
/// @param drop  has the broker drop the connection, and returns once that is done
RecoveryTimes measure_recovery(const service_bus::QueueSettings& settings, const std::string& body, std::size_t times,
                               const std::function<void()>& drop);

} // namespace service_bus_benchmark
