// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "link_id.hpp"
#include "message.hpp"

#include <escqrs/messaging/message_queue.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

// What `ReceiveCalls` wants done.
namespace service_bus {

/// Names a call of `receive`.
enum class CallId : std::uint64_t {};

/// Attach a link: to the next free session, for which the broker may wait for so long, or to the whole queue.
struct Attach {
    LinkId link;
    std::optional<escqrs::Duration> session_wait;
};

struct Detach {
    LinkId link;
};

/// Give the broker so much more credit.
struct Grant {
    LinkId link;
    std::size_t credit;
};

struct SetDrain {
    LinkId link;
    bool on;
};

/// Give back a message that no call has asked for, uncounted.
struct GiveBack {
    std::string lock_token;
};

/// A call is over: it returns these messages, or throws this error if there are none.
struct HandOut {
    CallId call;
    std::vector<ReceivedMessage> messages;
    std::string error;
};

/// Call `time_passed` at this moment.
struct WakeAt {
    escqrs::SteadyTime moment;
};

/// Have the connection put its tokens again; `connected` follows.
struct RenewTokens {};

/// Make the connection anew.
struct Reconnect {
    std::string why;
};

/// A link has ended with this error.
struct Report {
    std::string problem;
};

using ReceiveAction =
    std::variant<Attach, Detach, Grant, SetDrain, GiveBack, HandOut, WakeAt, RenewTokens, Reconnect, Report>;
using ReceiveActions = std::vector<ReceiveAction>;

} // namespace service_bus
