// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/messaging/message_queue.hpp>

#include <cstddef>
#include <functional>
#include <optional>
#include <queue>
#include <span>
#include <vector>

namespace service_bus {

/// Which messages of a batch may be on their way: at most so many at once, and of a session only one.
///
/// So order within a session is kept whatever becomes of a message: refused for now, or of unknown outcome after a lost
/// connection. Messages without a session go out one after the other. Does no I/O. Each step takes at most logarithmic
/// time.
/// @par Thread safety  none
class SendWindow {
public:
    /// @param batch  must outlive the window
    SendWindow(std::span<const escqrs::Message> batch, std::size_t max_in_flight);

    /// The message to send now, which is in flight from here on; nothing if none may go.
    std::optional<std::size_t> next();

    void accepted(std::size_t index);

    /// It was not taken this time.
    void to_be_retried(std::size_t index);

    /// What became of those in flight is unknown: all go out again, in order.
    void connection_lost();

    bool is_done() const noexcept { return left_ == 0; }
    std::size_t in_flight() const noexcept { return in_flight_; }
    std::size_t pending() const noexcept { return left_ - in_flight_; }

private:
    static constexpr std::size_t none = static_cast<std::size_t>(-1);

    std::size_t max_in_flight_;
    std::size_t left_;
    std::size_t in_flight_ = 0;
    /// The next message of the same session, by index.
    std::vector<std::size_t> follower_;
    std::vector<bool> is_in_flight_;
    std::priority_queue<std::size_t, std::vector<std::size_t>, std::greater<>> ready_; ///< the lowest index first
};

} // namespace service_bus
