// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "domain/email.hpp"
#include "domain/events.hpp"
#include "domain/rule_violation.hpp"

#include <escqrs/domain/decider.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace conference {

// The commands of the domain, as values.
struct Register {
    Email email;
};
struct RequestEmailChange {
    Email email;
    ConfirmationId confirmation_id;
};
struct ConfirmEmailChange {
    ConfirmationId confirmation_id;
};
struct Unregister {
    std::string reason;
};

/// The attendee as a decider: the same rules, the same events, the same streams as `Attendee`.
struct AttendeeDecider {
    static constexpr std::string_view category = "attendee";

    struct PendingEmail {
        std::string email;
        ConfirmationId confirmation_id;
    };
    struct State {
        std::string email;
        std::optional<PendingEmail> pending;
        std::size_t email_changes = 0;
        bool unregistered = false;
    };
    using Events =
        escqrs::EventList<AttendeeRegistered, EmailChangeRequested, EmailChangeConfirmed, AttendeeUnregistered>;

    static State initial() { return {}; }

    static AttendeeRegistered decide(const Register& command, const State&) { return {command.email.text()}; }

    static EmailChangeRequested decide(const RequestEmailChange& command, const State& state)
    {
        require_registered(state);
        if (command.email.text() == state.email) {
            throw RuleViolation{"same-email", "email", "This is the address already in use."};
        }
        if (state.email_changes >= 100) {
            throw RuleViolation{"too-many-email-changes", "email",
                                "Another address was asked for 100 times, which is the limit of a registration. The "
                                "latest one can still be confirmed."};
        }
        return {command.email.text(), command.confirmation_id};
    }

    static EmailChangeConfirmed decide(const ConfirmEmailChange& command, const State& state)
    {
        require_registered(state);
        if (!state.pending) {
            throw RuleViolation{"nothing-to-confirm", "confirmationId",
                                "No change of address is waiting to be confirmed."};
        }
        if (state.pending->confirmation_id != command.confirmation_id) {
            throw RuleViolation{"confirmation-mismatch", "confirmationId",
                                "This is not the confirmation id that was mailed to the new address."};
        }
        return {state.pending->email};
    }

    static AttendeeUnregistered decide(const Unregister& command, const State& state)
    {
        require_registered(state);
        if (command.reason.find_first_not_of(" \t\r\n") == std::string::npos) {
            throw RuleViolation{"invalid-reason", "reason", "Please say why you unregister."};
        }
        if (command.reason.size() > 500) {
            throw RuleViolation{"invalid-reason", "reason", "The reason is longer than 500 bytes."};
        }
        return {command.reason};
    }

    static State evolve(State state, const AttendeeRegistered& event)
    {
        state.email = event.email;
        return state;
    }
    static State evolve(State state, const EmailChangeRequested& event)
    {
        state.pending = PendingEmail{event.email, event.confirmation_id};
        ++state.email_changes;
        return state;
    }
    static State evolve(State state, const EmailChangeConfirmed& event)
    {
        state.email = event.email;
        state.pending.reset();
        return state;
    }
    static State evolve(State state, const AttendeeUnregistered&)
    {
        state.unregistered = true;
        return state;
    }

private:
    static void require_registered(const State& state)
    {
        if (state.unregistered) {
            throw RuleViolation{"already-unregistered", "",
                                "This registration was given back; it can no longer be changed."};
        }
    }
};

} // namespace conference
