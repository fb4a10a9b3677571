// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "link_id.hpp"
#include "lock_name.hpp"
#include "recovery.hpp"
#include "settlement.hpp"

#include <escqrs/messaging/message_queue.hpp>

#include <proton/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace service_bus {

/// A call of `settle` that waits.
struct SettleCall {
    std::vector<escqrs::SettlementResult> results;
    std::string error{}; ///< of what the broker left unanswered
    /// Decisions without a result; guarded by the receiver's mutex.
    std::size_t pending;
};

/// A message that has come and is not settled.
struct HeldMessage {
    std::string token{};
    std::string message_id{};
    std::string session_id{};
    std::uint64_t sequence_number = 0;
    LinkId link{};
    bool has_session_lock = false; ///< its lock is that of the link's session
    /// The broker has forgotten it already: it can be completed, and nothing else.
    bool came_settled = false;
    pn_delivery_t* delivery = nullptr;
    std::stop_source lock_lost{};
    /// The broker was asked, and has not answered.
    bool is_decided = false;
    /// The call that waits for the answer; null: none does.
    SettleCall* decided_by = nullptr;
    std::size_t index = 0; ///< of the decision in its call
    Outcome asked = Outcome::complete;
    escqrs::SteadyTime asked_at{};

    LockName lock() const { return has_session_lock ? LockName{link} : LockName{token}; }
};

/// Decides what becomes of messages that have come: whom a caller may settle, what the broker is asked, and what its
/// answer means. Takes what happens as events; each returns the actions to take, in their order. No I/O.
///
/// What a caller says of a message must agree with what it was given. A message that goes back takes the later ones of
/// its session with it, so that none of them is handled before it.
/// @par Thread safety  none
class Settlements {
public:
    // Actions for the caller.
    struct Ask {
        pn_delivery_t* delivery;
        Outcome outcome;
        /// For complete, abandon and dead-letter; lives as long as its call.
        const escqrs::Disposition* disposition;
    };
    struct Forget {
        pn_delivery_t* delivery; ///< settle it here
    };
    struct Decided {
        SettleCall* call;
        std::size_t index;
        escqrs::SettlementResult result;
        /// Why it is unknown whether it was done; empty: it is known.
        std::string error{};
    };
    struct GoesBack {
        LinkId link; ///< to whose session a message goes back
    };
    struct Gone {
        LinkId link;
        std::string lock_token; ///< of a message that is held no more
    };
    using Action = std::variant<Ask, Forget, Decided, GoesBack, Gone>;
    using Actions = std::vector<Action>;

    /// @param confirms  the broker answers what it is asked, and counts deliveries; else what is asked is final
    explicit Settlements(bool confirms) : confirms_{confirms} {}

    /// Holds a message that has come. Sets its lock token's companions: `lock_lost`, and the count of its deliveries
    /// where the broker does not count them.
    /// @param is_first  false: it may have been delivered to others before
    /// @param came_settled  the broker has forgotten it already, and answers nothing about it
    /// @return what is held; stays where it is until it is gone
    HeldMessage& hold(escqrs::ReceivedMessage& received, LinkId link, bool has_session_lock, bool is_first,
                      bool came_settled, pn_delivery_t* delivery);

    /// Holds one that cannot be decoded, from when the broker was asked to dead-letter it until it has answered.
    HeldMessage& hold_rejected(LinkId link, pn_delivery_t* delivery, escqrs::SteadyTime now);

    /// Null if the message is not held, or not as the caller says, or decided about.
    const HeldMessage* find(const escqrs::ReceivedMessage& said) const;
    bool is_held(const std::string& lock_token) const { return held_.contains(lock_token); }

    Actions settle(std::span<const escqrs::Settlement> settlements, SettleCall& call, escqrs::SteadyTime now);
    Actions defer(const escqrs::ReceivedMessage& message, SettleCall& call, escqrs::SteadyTime now);
    /// Gives messages back uncounted, and with them the later ones of their sessions.
    Actions release(std::span<const escqrs::ReceivedMessage> messages);
    /// Gives back one that was not handed out.
    Actions give_back(const std::string& lock_token);
    /// Gives back everything.
    Actions release_all();

    /// The broker has answered what it was asked for a message.
    Actions answered(HeldMessage& held, Answer answer, const Condition& why);
    Actions link_closed(LinkId link, const Condition& why);

    /// Tells handlers that a lock is lost, as the broker says.
    void lock_lost(const LockName& lock);
    /// The time of a lock is over.
    Actions lock_over(const LockName& lock);

    /// Whether the broker has not answered for so long.
    bool is_unanswered(escqrs::SteadyTime now, escqrs::Duration patience) const;

private:
    using Held = std::unordered_map<std::string, std::unique_ptr<HeldMessage>>;

    HeldMessage* find_held(const escqrs::ReceivedMessage& said) const;
    void decide(HeldMessage& held, SettleCall& call, std::size_t index, Outcome outcome,
                const escqrs::Disposition* disposition, escqrs::SteadyTime now);
    HeldMessage& keep(HeldMessage held);
    void ask_for_release(const HeldMessage& held);
    void give_back_later_ones(const HeldMessage& earlier);
    void resolve(HeldMessage& held, escqrs::SettlementResult result, std::string error);
    void drop(const HeldMessage& held);
    std::vector<HeldMessage*> of(LinkId link) const;
    std::uint32_t count_delivery(const escqrs::ReceivedMessage& received, bool is_first);
    Actions take_actions() { return std::exchange(actions_, {}); }

    bool confirms_;
    Held held_; ///< by lock token
    /// By message id, where the broker does not count.
    std::unordered_map<std::string, std::uint32_t> deliveries_;
    std::uint64_t rejected_ = 0; ///< so far
    Actions actions_;            ///< of the event that is being handled
};

} // namespace service_bus
