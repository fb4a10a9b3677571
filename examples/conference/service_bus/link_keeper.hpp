// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "reconnect_delay.hpp"
#include "recovery.hpp"

#include <escqrs/clock.hpp>

#include <optional>
#include <string>

namespace service_bus {

/// The life of a link or connection so far.
struct LinkLife {
    escqrs::SteadyTime asked_at{}; ///< when its attach was sent
    std::optional<escqrs::SteadyTime> attached_at{};
    bool has_moved = false; ///< a message, or the outcome of one

    /// Whether it was of use. That it was attached says little: a broker may let go at once, each time.
    bool has_worked(escqrs::SteadyTime now) const noexcept;
};

/// Keeps the links of one user to one address: how long the broker may take to answer, when the next attach may be sent, and
/// what is wrong meanwhile. It says what is to be done, and does no I/O.
/// @par Thread safety  none
class LinkKeeper {
public:
    /// What is to be done about the end of a link. A link that may be attached again waits for `not_before`.
    struct Step {
        Recovery recovery = Recovery::reattach_link; ///< this, `reconnect`, or `fail`: what waits for the link fails
        bool renew_tokens = false;
    };

    /// @param patience  how long the broker may take to answer an attach, or to give credit
    LinkKeeper(ReconnectDelay delay, escqrs::Duration patience);

    escqrs::SteadyTime not_before() const noexcept { return not_before_; }
    bool may_attach(escqrs::SteadyTime now) const noexcept { return now >= not_before_; }

    /// The broker has attached a link.
    void attached() noexcept;
    /// A link was of use. That of one that was there before the last failure says nothing about those after it.
    void worked(const LinkLife& life);

    /// The broker has ended or refused a link, or it was given up. Growing pauses follow if it was of no use.
    Step ended(const LinkLife& life, const Condition& why, escqrs::SteadyTime now);

    /// No session was free for `wait`, which is no failure. A broker that says so earlier is asked again after a pause.
    void no_session(const LinkLife& life, escqrs::Duration wait, escqrs::SteadyTime now);

    /// The connection is gone; its own pace holds for the next one.
    void connection_lost() noexcept;

    /// To be called now and then.
    /// @param allowance  what the attach may take besides, such as the wait for a session
    /// @param waits_for_credit  something is there to be sent, and there is no credit
    /// @return why the link must be given up: its attach was not answered in time, or credit not given
    std::optional<Condition> overdue(const LinkLife& life, escqrs::Duration allowance, bool waits_for_credit,
                                     escqrs::SteadyTime now);

    /// True if something waited for credit at the last call of `overdue`.
    bool waits_for_credit() const noexcept { return no_credit_since_.has_value(); }

    /// True if the broker has attached a link, and none that was of no use has ended since one was of use.
    bool is_well() const noexcept { return state_ == State::well; }
    /// Why links are of no use; empty if they are, or nothing is known.
    const std::string& problem() const noexcept { return problem_; }

private:
    void reset();

    enum class State : std::uint8_t { unknown, well, failing };

    ReconnectDelay delay_;
    escqrs::Duration patience_;
    State state_ = State::unknown;
    std::string problem_;
    escqrs::SteadyTime not_before_ = escqrs::SteadyTime::min();
    escqrs::SteadyTime failed_at_ = escqrs::SteadyTime::min();
    std::optional<escqrs::SteadyTime> no_credit_since_;
    int unanswered_ = 0; ///< attaches in a row
    bool has_renewed_tokens_ = false;
};

} // namespace service_bus
