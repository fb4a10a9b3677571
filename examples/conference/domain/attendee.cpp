// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "attendee.hpp"

#include "rule_violation.hpp"
#include "text.hpp"

namespace conference {
namespace {

constexpr std::size_t max_reason_length = 500;

} // namespace

Attendee Attendee::register_with(const Id& id, const Email& email)
{
    Attendee attendee{id};
    attendee.raise(AttendeeRegistered{email.text()});
    return attendee;
}

void Attendee::change_email(const Email& email, const ConfirmationId& confirmation_id)
{
    require_registered();
    if (email.text() == email_) {
        throw RuleViolation{"same-email", "email", "This is the address already in use."};
    }
    if (email_changes_ >= max_email_changes) {
        throw RuleViolation{"too-many-email-changes", "email",
                            "Another address was asked for " + std::to_string(max_email_changes) +
                                " times, which is the limit of a registration. The latest one can still be confirmed."};
    }
    raise(EmailChangeRequested{email.text(), confirmation_id});
}

void Attendee::confirm_email(const ConfirmationId& confirmation_id)
{
    require_registered();
    if (!pending_) {
        throw RuleViolation{"nothing-to-confirm", "confirmationId", "No change of address is waiting to be confirmed."};
    }
    if (pending_->confirmation_id != confirmation_id) {
        throw RuleViolation{"confirmation-mismatch", "confirmationId",
                            "This is not the confirmation id that was mailed to the new address."};
    }
    raise(EmailChangeConfirmed{pending_->email});
}

void Attendee::unregister(std::string_view reason)
{
    require_registered();
    reason = trimmed(reason);
    if (reason.empty()) {
        throw RuleViolation{"invalid-reason", "reason", "Please say why you unregister."};
    }
    if (reason.size() > max_reason_length) {
        throw RuleViolation{"invalid-reason", "reason", "The reason is longer than 500 bytes."};
    }
    raise(AttendeeUnregistered{std::string{reason}});
}

void Attendee::apply(const EmailChangeRequested& event)
{
    pending_ = PendingEmail{event.email, event.confirmation_id};
    ++email_changes_;
}

void Attendee::apply(const EmailChangeConfirmed& event)
{
    email_ = event.email;
    pending_.reset();
}

void Attendee::require_registered() const
{
    if (unregistered_) {
        throw RuleViolation{"already-unregistered", "",
                            "This registration was given back; it can no longer be changed."};
    }
}

} // namespace conference
