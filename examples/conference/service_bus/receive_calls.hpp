// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "link_keeper.hpp"
#include "message.hpp"
#include "receive_actions.hpp"
#include "receive_links.hpp"
#include "session_share.hpp"

#include <escqrs/messaging/message_queue.hpp>

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace service_bus {

/// Decides how calls of `receive` get their messages: which links and sessions work for which call, how much credit they have,
/// and when a call has enough. It takes what happens as events, each with its time, and returns the actions to take, in
/// their order. No I/O.
///
/// A call asks the links that it has for all that it wants. Once a message has come it has the broker drain the credit, and
/// hands out when it is full, when the drains are answered, or when nothing more has come for a little while. A message that
/// comes later is offered to the other calls, waits for the next one, and goes back after a second; so does a session that is
/// accepted later. A link keeps its session while a message of it is in hand; if there is only one session, its link is kept for the
/// next call, and calls take turns.
/// @par Thread safety  none
class ReceiveCalls {
public:
    struct Options {
        bool has_sessions = false;
        std::size_t max_sessions = 32;
        std::string default_session{}; ///< that stands for none
        bool is_one_session = false;   ///< all links are to the same session, so there is one at a time
        bool takes_credit_back = true; ///< false: credit outlives the call that has asked for it
        std::size_t prefetch = 0;      ///< only if credit is not taken back
        escqrs::Duration linger{};     ///< a call that has a message ends when none has come for so long
        escqrs::Duration operation_timeout = std::chrono::seconds{30}; ///< that the broker may take to answer
    };

    ReceiveCalls(Options options, LinkKeeper keeper);
    ReceiveCalls(const ReceiveCalls&) = delete;
    ReceiveCalls& operator=(const ReceiveCalls&) = delete;

    /// @param deadline  when the caller is going to end the call
    ReceiveActions begin(CallId id, std::size_t at_most, escqrs::SteadyTime deadline, escqrs::SteadyTime now);
    /// The caller's time is over, or it wants to stop: soon there is a `HandOut`.
    ReceiveActions end(CallId id, escqrs::SteadyTime now);

    /// Links may be attached: on a new connection, or since it has renewed its tokens.
    ReceiveActions connected(escqrs::SteadyTime now);
    /// The connection is gone; each link was reported closed before.
    void connection_lost() noexcept;

    /// @param session  that was accepted; empty: none
    ReceiveActions link_opened(LinkId id, std::string session, escqrs::SteadyTime now);
    /// The broker has ended or refused a link, and what was in hand of it is lost.
    /// @param is_connected  false: the connection has ended, and the link with it, or it waits for tokens
    ReceiveActions link_closed(LinkId id, const Condition& why, bool is_connected, escqrs::SteadyTime now);

    /// @param message  nothing: it cannot be decoded. It is in hand until the broker has confirmed that it is dead-lettered,
    ///        and `message_gone` says so
    /// @param outstanding  what the broker may still send over the link
    ReceiveActions message_arrived(LinkId id, std::optional<ReceivedMessage> message, std::size_t outstanding,
                                   escqrs::SteadyTime now);
    /// A delivery used up credit and left nothing in hand.
    ReceiveActions nothing_arrived(LinkId id, std::size_t outstanding, escqrs::SteadyTime now);
    /// The broker has told its side of a link's credit: a drain may be answered.
    ReceiveActions credit_flowed(LinkId id, std::size_t outstanding, escqrs::SteadyTime now);

    /// A message is in hand no more: it is settled, given back or lost.
    ReceiveActions message_gone(LinkId id, const std::string& lock_token, escqrs::SteadyTime now);
    /// A message of the link's session goes back to the queue: what comes after it must not overtake it.
    void message_goes_back(LinkId id) noexcept;

    /// A moment that `WakeAt` named has come.
    ReceiveActions time_passed(escqrs::SteadyTime now);
    /// To be called several times a second.
    ReceiveActions tick(escqrs::SteadyTime now);

    /// Takes back all credit, since no further call comes.
    ReceiveActions stop(escqrs::SteadyTime now);
    /// Whether the broker can send nothing over any link.
    bool is_quiet() const noexcept { return links_.are_quiet(); }

    LinkState link_state() const noexcept;

private:
    using Link = ReceiveLinks::Link;
    struct Call {
        CallId id;
        std::size_t at_most;
        CreditShare share;
        escqrs::SteadyTime deadline;
        std::vector<ArrivedMessage> messages{};
        escqrs::SteadyTime linger_until{}; ///< once there are messages
        bool is_concluding = false;        ///< asks for nothing more
        escqrs::SteadyTime patience_end{}; ///< once it is concluding
        std::optional<escqrs::SteadyTime> wakes_at{};
        std::string error{};

        std::size_t room() const noexcept { return at_most - messages.size(); }
    };

    ReceiveActions take_actions() { return std::exchange(actions_, {}); }
    Call* find(std::optional<CallId> id);
    template <class Action>
    void for_each_call(Action action) ///< which may end the call
    {
        for (auto next = calls_.begin(); next != calls_.end();) action((next++)->second);
    }

    void count_arrival(Link& link, std::size_t outstanding);
    void use_arrival(Link& link, bool is_useless, std::size_t outstanding, escqrs::SteadyTime now);
    void check(Call& call, escqrs::SteadyTime now); ///< may end the call
    void wake_at(Call& call, escqrs::SteadyTime moment);
    void recruit(Call& call, escqrs::SteadyTime now);
    void attach(const Call& call, escqrs::SteadyTime now);
    void accept_more(const Call& call, escqrs::SteadyTime now);
    void ask_fresh_sessions(Call& call, escqrs::SteadyTime now);
    void ask(Link& link, Call& call, escqrs::SteadyTime now);
    bool may_be_ours(escqrs::SteadyTime now);
    void claim(Call& call, escqrs::SteadyTime now);
    void collect(Call& call, std::vector<ArrivedMessage> messages, escqrs::SteadyTime now);
    void offer(escqrs::SteadyTime now);
    void conclude(Call& call, escqrs::SteadyTime now);
    void leave(Link& link, Call& call, escqrs::SteadyTime now);
    void leave_all(Call& call, escqrs::SteadyTime now);
    void finish(Call& call, escqrs::SteadyTime now);
    void take_back_default_credit(Call& call, escqrs::SteadyTime now);
    void become_idle(Link& link, Call* call, escqrs::SteadyTime now);
    void end_link(LinkId id, const Condition& why, escqrs::SteadyTime now);

    Options options_;
    LinkKeeper keeper_;
    bool is_connected_ = false;
    std::map<CallId, Call> calls_;
    ReceiveActions actions_; ///< of the event that is being handled
    ReceiveLinks links_;
};

} // namespace service_bus
