// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "email.hpp"
#include "events.hpp"

#include <escqrs/domain/aggregate_root.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace conference {

/// One person's registration for the conference.
class Attendee : public escqrs::AggregateRoot<Attendee, AttendeeRegistered, EmailChangeRequested, EmailChangeConfirmed,
                                              AttendeeUnregistered> {
public:
    static constexpr std::string_view category = "attendee";

    /// How often another address may be asked for. It bounds the events of a registration, and so what reading one
    /// costs.
    static constexpr std::size_t max_email_changes = 100;

    explicit Attendee(const Id& id) : AggregateRoot{id} {}

    /// A newly registered attendee.
    static Attendee register_with(const Id& id, const Email& email);

    /// Asks for another address; `confirmation_id` must be mailed there and come back through `confirm_email`. A later
    /// request replaces an earlier one.
    /// @throws RuleViolation "already-unregistered", "same-email", "too-many-email-changes"
    void change_email(const Email& email, const ConfirmationId& confirmation_id);

    /// Puts the requested address into use. Works once for each request.
    /// @throws RuleViolation "already-unregistered", "nothing-to-confirm", "confirmation-mismatch"
    void confirm_email(const ConfirmationId& confirmation_id);

    /// Gives the place back. Nothing can be changed afterwards.
    /// @throws RuleViolation "already-unregistered", "invalid-reason"
    void unregister(std::string_view reason);

    /// Whether this address waits to be confirmed.
    bool is_pending(const Email& email) const noexcept { return pending_ && pending_->email == email.text(); }

private:
    friend escqrs::Access;

    struct PendingEmail {
        std::string email;
        ConfirmationId confirmation_id;
    };

    void apply(const AttendeeRegistered& event) { email_ = event.email; }
    void apply(const EmailChangeRequested& event);
    void apply(const EmailChangeConfirmed& event);
    void apply(const AttendeeUnregistered&) { unregistered_ = true; }

    void require_registered() const;

    std::string email_;
    std::optional<PendingEmail> pending_;
    std::size_t email_changes_ = 0; ///< asked for so far
    bool unregistered_ = false;
};

using AttendeeId = Attendee::Id;

} // namespace conference
