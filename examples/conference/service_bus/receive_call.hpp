// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "session_share.hpp"

#include <escqrs/messaging.hpp>

#include <cstddef>
#include <string>
#include <vector>

namespace service_bus {

/// One call of `receive` that is under way. Of the connection's thread, but for `is_done`.
struct ReceiveCall {
    ReceiveCall(std::size_t most, escqrs::SteadyTime until) : at_most{most}, share{most}, deadline{until} {}

    bool is_full() const noexcept { return messages.size() >= at_most; }
    /// Links whose messages are on their way.
    std::size_t collecting() const noexcept { return links - waiting; }

    std::size_t at_most;
    CreditShare share;
    escqrs::SteadyTime deadline;
    std::vector<escqrs::ReceivedMessage> messages;
    std::size_t links = 0;             ///< that take part
    std::size_t waiting = 0;           ///< of them, those from which nothing may ever come
    escqrs::SteadyTime linger_until{}; ///< for further sessions
    bool is_lingering = false;
    bool is_concluding = false; ///< nothing new is begun
    std::string error;
    bool is_done = false; ///< guarded by the receiver's mutex
};

} // namespace service_bus
