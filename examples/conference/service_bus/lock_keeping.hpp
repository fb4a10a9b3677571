// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "lock_name.hpp"
#include "lock_times.hpp"

#include <escqrs/messaging/message_queue.hpp>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace service_bus {

/// Decides when locks are renewed, and when they are over. Takes what happens as events, each with its moment. No I/O.
/// @par Thread safety  none
class LockKeeping {
public:
    // Actions for the caller.
    struct Renew {
        LockName lock;
    };
    struct Over {
        LockName lock; ///< reported once
    };
    using Action = std::variant<Renew, Over>;
    using Actions = std::vector<Action>;

    /// @param max_renewal  how long locks are renewed, from the last message on that has come under them; 0: they are
    ///                     not
    explicit LockKeeping(escqrs::Duration max_renewal) : max_renewal_{max_renewal} {}

    /// A session was accepted, with a lock until then by the broker's clock.
    void took_session(LinkId link, const std::string& session_id, escqrs::Timestamp locked_until, const Moment& now);
    /// A message has come, under its own lock. Its `locked_until` becomes that by this machine's clock.
    void took_message(escqrs::ReceivedMessage& received, const Moment& now);
    /// A message has come, under the lock of the link's session.
    void took_message_of(LinkId link, escqrs::ReceivedMessage& received, const Moment& now);

    /// @return the lock's end by this machine's clock
    escqrs::Timestamp renewed(const LockName& name, escqrs::Timestamp locked_until, const Moment& now);
    /// @param is_lost  the broker says so; else it may be renewed yet
    void not_renewed(const LockName& name, bool is_lost, escqrs::SteadyTime now);

    /// What was under the lock is settled, or its link closed.
    void forget(const LockName& name) { locks_.erase(name); }

    /// To be called several times a second.
    Actions tick(escqrs::SteadyTime now);

    /// What shows that the clocks disagree, in words: once, until they agree again.
    std::optional<std::string> take_clock_problem() { return std::exchange(clock_problem_, std::nullopt); }

private:
    struct Lock {
        escqrs::Timestamp broker_end{};   ///< by the broker's clock
        escqrs::Timestamp locked_until{}; ///< by this machine's time of day
        escqrs::SteadyTime since{};       ///< when it was taken, or renewed last
        escqrs::SteadyTime renew_by{};    ///< it surely lasts until then
        escqrs::SteadyTime end{};         ///< it is over then
        escqrs::SteadyTime renew_until{}; ///< it is not renewed after that
        bool is_renewing = false;
        bool is_over = false;
    };

    Lock taken(escqrs::Timestamp locked_until, const TimeLeft& left, const Moment& now) const;
    void compare_clocks(const std::string& what, escqrs::Timestamp locked_until, const Moment& now);
    void note_clock_problem(const std::string& text);

    escqrs::Duration max_renewal_;
    std::map<LockName, Lock> locks_;
    LockTimes times_;
    bool clocks_agree_ = true;
    std::optional<std::string> clock_problem_;
};

} // namespace service_bus
