// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "recovery.hpp"

#include <escqrs/core/backoff.hpp>
#include <escqrs/core/clock.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace service_bus {

/// What has happened to a link or connection so far.
struct LinkLife {
    escqrs::SteadyTime asked_at{}; ///< when its attach was sent
    std::optional<escqrs::SteadyTime> attached_at{};
    bool has_moved = false; ///< a message, or the outcome of one

    /// Whether it was of use. An answered attach alone says little, since a broker may detach every link at once.
    bool has_worked(escqrs::SteadyTime now) const noexcept;
};

/// What is known of the links of a sender or receiver.
enum class LinkState : std::uint8_t {
    unknown, ///< nothing yet, on this connection
    waiting, ///< the broker has no session for us: it said so, or has not answered an attach that may wait for one
    working, ///< the broker has attached a link
    failing, ///< links are refused, not answered, or detached at once
};

/// Decides when a sender or receiver may attach a link, how long the broker may take to answer, and how to recover when
/// a link ends; and knows what is wrong meanwhile. No I/O.
/// @par Thread safety  none
class LinkKeeper {
public:
    /// How to recover from the end of a link. The next attach waits until `not_before`.
    struct Step {
        Recovery recovery = Recovery::reattach_link; ///< or `reconnect`, or `fail`: calls that wait for the link fail
        bool renew_tokens = false;
    };

    /// @param patience  how long the broker may take to answer an attach, or to give credit
    LinkKeeper(escqrs::Backoff backoff, escqrs::Duration patience);

    escqrs::SteadyTime not_before() const noexcept { return not_before_; }
    bool may_attach(escqrs::SteadyTime now) const noexcept { return now >= not_before_; }

    /// The broker has attached a link.
    void attached() noexcept;
    /// The broker has left an attach without an answer, as it may while no session is free.
    void waits_for_session() noexcept;
    /// A link was of use. A link that is older than the last failure does not count.
    void worked(const LinkLife& life);

    /// A link has ended: the broker detached or refused it, or `overdue` gave it up. If it was of no use, the next
    /// attach has to wait, longer after each failure.
    Step ended(const LinkLife& life, const Condition& why, escqrs::SteadyTime now);

    /// The broker refused an attach because no session was free for `wait`, which is no failure. If it did so earlier,
    /// the next attach waits for a moment.
    void no_session(const LinkLife& life, escqrs::Duration wait, escqrs::SteadyTime now);

    /// The connection is gone. Pauses between links end with it: the connection has its own pauses.
    void connection_lost() noexcept;

    /// Checks a link's time limits. Call it several times a second.
    /// @param allowance  extra time for the attach, such as the wait for a session
    /// @param waits_for_credit  true while there is a message to send, and no credit
    /// @return why the link must be given up: the broker has not answered its attach, or has not given it credit, in
    ///         time
    std::optional<Condition> overdue(const LinkLife& life, escqrs::Duration allowance, bool waits_for_credit,
                                     escqrs::SteadyTime now);

    /// What the last call of `overdue` was given.
    bool waits_for_credit() const noexcept { return no_credit_since_.has_value(); }

    /// Working or waiting once the broker has answered so; failing once a link has ended that was of no use, until one
    /// is of use, or the broker says that no session is free.
    LinkState state() const noexcept { return state_; }
    /// Why links are of no use; empty while they are of use, or nothing is known.
    const std::string& problem() const noexcept { return problem_; }

private:
    void reset();

    escqrs::Backoff backoff_;
    escqrs::Duration patience_;
    LinkState state_ = LinkState::unknown;
    std::string problem_;
    escqrs::SteadyTime not_before_ = escqrs::SteadyTime::min();
    escqrs::SteadyTime failed_at_ = escqrs::SteadyTime::min();
    std::optional<escqrs::SteadyTime> no_credit_since_;
    int unanswered_ = 0; ///< attaches in a row
    bool has_renewed_tokens_ = false;
    std::optional<escqrs::SteadyTime> lost_lock_at_; ///< by a link that had been of no use, and none has been since
};

} // namespace service_bus
