// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "problem_of.hpp"

#include "../application/attendee_handlers.hpp"
#include "../domain/rule_violation.hpp"
#include "../http/router.hpp"

#include <escqrs/core/error.hpp>

namespace conference::web {

http::Problem problem_of(const std::exception& error)
{
    if (const auto* refused = dynamic_cast<const http::RequestRefused*>(&error)) return refused->problem();
    if (const auto* rule = dynamic_cast<const RuleViolation*>(&error)) {
        return {400, rule->rule(), rule->what(), rule->field(), {}};
    }
    if (dynamic_cast<const escqrs::AggregateNotFound*>(&error) != nullptr) {
        return {404, "unknown-attendee", "There is no attendee with this id.", {}, {}};
    }
    if (dynamic_cast<const AttendeeIdTaken*>(&error) != nullptr) {
        return {409, "attendee-id-taken", "This attendee id is already in use.", "attendeeId", {}};
    }
    if (dynamic_cast<const escqrs::ConcurrencyError*>(&error) != nullptr) {
        return {409, "conflict", "Others changed this registration at the same time. Please try again.", {}, {}};
    }
    if (dynamic_cast<const escqrs::CommandIdRefused*>(&error) != nullptr) {
        return {422, "idempotency-key-reused", "This Idempotency-Key was used for another request.", {}, {}};
    }
    if (dynamic_cast<const http::BadTarget*>(&error) != nullptr) return {400, {}, error.what(), {}, {}};
    if (dynamic_cast<const escqrs::CommandDeadlineExceeded*>(&error) != nullptr) {
        return {503, {}, "We are busy just now.", {}, {{"Retry-After", "1"}}};
    }
    if (dynamic_cast<const escqrs::MessageRefused*>(&error) != nullptr) {
        return {409, "not-resubmittable", error.what(), {}, {}};
    }
    const bool passing = dynamic_cast<const escqrs::StoreError*>(&error) != nullptr ||
                         dynamic_cast<const escqrs::TransportError*>(&error) != nullptr;
    if (passing) return {503, {}, "The conference's storage is not available just now.", {}, {{"Retry-After", "1"}}};
    return {500, {}, "Something went wrong here.", {}, {}};
}

} // namespace conference::web
