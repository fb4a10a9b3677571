// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "link_credit.hpp"
#include "link_keeper.hpp"
#include "receive_actions.hpp"
#include "unclaimed_messages.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace service_bus {

/// How long the broker may take to say that nothing more comes. Azure was seen to take seconds, or not to answer;
/// Microsoft's client for JavaScript waits as long.
inline constexpr std::chrono::milliseconds drain_patience{200};

/// The links of a receiver: the sessions that they hold, their credit, and what has come over them unclaimed. Part of
/// `ReceiveCalls`. No I/O: it adds actions to a list, for the caller to take.
/// @par Thread safety  none
class ReceiveLinks {
public:
    struct Link {
        LinkId id;
        LinkLife life;
        /// How long the broker may wait for a session; nothing: no sessions.
        std::optional<escqrs::Duration> session_wait{};
        std::string session{}; ///< once it is open
        LinkCredit credit{};
        std::optional<CallId> call{}; ///< for which it works at the moment
        /// Messages that have come and are not settled.
        std::size_t in_hand = 0;
        /// A message of its session went back, which what comes later would overtake.
        bool is_ending = false;
        bool was_asked = false;           ///< for messages, over its credit
        escqrs::SteadyTime released_at{}; ///< if it works for no call

        bool is_open() const noexcept { return life.attached_at.has_value(); }
        bool has_session() const noexcept { return session_wait.has_value(); }
        /// Whether it has a session of which nothing was asked yet.
        bool is_fresh_session() const noexcept { return has_session() && is_open() && !was_asked; }
    };

    /// @param default_session  whose messages are independent of each other
    /// @param keeps_session  a session is kept when all of it is settled
    /// @param actions  must outlive this
    ReceiveLinks(std::string default_session, bool keeps_session, ReceiveActions& actions)
        : default_session_{std::move(default_session)}, keeps_session_{keeps_session}, actions_{&actions}
    {
    }

    UnclaimedMessages unclaimed;
    /// When a link was last detached: its session may still seem to be held.
    std::optional<escqrs::SteadyTime> last_let_go;

    /// Null if it is gone.
    Link* find(LinkId id);
    /// Calls `action` with each link, which it may detach.
    template <class Action>
    void for_each(Action action)
    {
        for (auto next = links_.begin(); next != links_.end();) action((next++)->second);
    }
    /// The same with the links that work for a call.
    template <class Action>
    void for_each_of(CallId call, Action action)
    {
        for_each([&](Link& link) {
            if (link.call == call) action(link);
        });
    }
    std::size_t count_of(CallId call) const;
    std::size_t count_asked_of(CallId call) const;
    /// Accepts that are not answered yet, and fresh sessions, whatever call they are for.
    std::size_t count_unasked() const;
    bool any_is_open() const noexcept;
    bool are_none() const noexcept { return links_.empty(); }
    /// A link that the broker leaves without an answer, and why it must be given up.
    std::optional<std::pair<LinkId, Condition>> find_overdue(LinkKeeper& keeper, escqrs::SteadyTime now);

    void attach(CallId call, std::optional<escqrs::Duration> session_wait, escqrs::SteadyTime now);
    void detach(const Link& link, escqrs::SteadyTime now);
    /// Has a link work for no call.
    static void release(Link& link, escqrs::SteadyTime now);
    /// Forgets a link, and what has come over it unclaimed.
    Link take_out(LinkId id);

    void want(Link& link, std::size_t messages);
    void drain(Link& link, escqrs::SteadyTime now);
    /// Takes what the broker says about a link's credit. @return whether nothing more comes
    bool is_drained(Link& link, std::size_t outstanding);

    bool is_default_session(const Link& link) const;
    /// Whether the link may begin to work for any call. An attach that is not answered yet may; so may the link of a
    /// queue without sessions, and that of the default session, whose messages are independent of those in hand.
    bool is_for_any_call(const Link& link) const;
    /// Whether any call may have what has come over a link: of a session, nothing else may be in hand.
    bool is_free(const Link& link) const;
    /// Whether a message may come to the call, or a session be accepted. Nothing may ever come to the default session
    /// while other sessions have messages.
    bool has_prospects(CallId call) const;
    /// Whether the broker can send nothing over any link.
    bool are_quiet() const noexcept;

    /// Detaches a link if it has a session of which nothing is in hand, so that no session is starved. A fresh one
    /// stays for the next call: the broker accepts a session for a message, and may let it wait after all others if it
    /// is released. A session that is kept may be received from again, once nothing is on its way that would overtake
    /// what went back.
    void close_if_unused(Link& link, escqrs::SteadyTime now);
    /// Gives back what no call has asked for. Of a session it goes once nothing else is in hand, and the session with
    /// it. Over credit that is open the message would come again at once, so there, too, the link goes, with all it
    /// has.
    void give_back_unclaimed(escqrs::SteadyTime now);
    /// Detaches links whose drain the broker does not answer, which takes their credit back.
    void end_drained(escqrs::SteadyTime now);
    /// Ends accepts that no call waits for, and detaches links to sessions that no call has asked for messages.
    void end_unasked_sessions(escqrs::SteadyTime now);

private:
    std::string default_session_;
    bool keeps_session_;
    ReceiveActions* actions_;
    std::map<LinkId, Link> links_;
    std::uint64_t last_id_ = 0;
};

} // namespace service_bus
