// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "problem.hpp"

#include "../application/attendee_handlers.hpp"
#include "../domain/rule_violation.hpp"
#include "router.hpp"

#include <escqrs/error.hpp>

#include <boost/beast/http/status.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace conference::web {

std::string_view reason_phrase(unsigned status) noexcept
{
    const auto text = boost::beast::http::obsolete_reason(static_cast<boost::beast::http::status>(status));
    return {text.data(), text.size()};
}

Response to_response(const Problem& problem)
{
    boost::json::object body;
    body["type"] = problem.slug.empty() ? "about:blank" : "/problems/" + problem.slug;
    body["title"] = reason_phrase(problem.status);
    body["status"] = problem.status;
    body["detail"] = problem.detail;
    if (!problem.field.empty()) {
        body["errors"] = boost::json::array{boost::json::object{{"field", problem.field}, {"detail", problem.detail}}};
    }
    Response response{problem.status, problem.headers, boost::json::serialize(body)};
    response.headers.emplace_back("Content-Type", "application/problem+json");
    response.headers.emplace_back("Cache-Control", "no-store");
    return response;
}

Problem problem_of(const std::exception& error)
{
    if (const auto* refused = dynamic_cast<const RequestRefused*>(&error)) return refused->problem();
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
    if (dynamic_cast<const escqrs::DuplicateEventId*>(&error) != nullptr) {
        return {422, "idempotency-key-reused", "This Idempotency-Key was used for another request.", {}, {}};
    }
    if (dynamic_cast<const BadTarget*>(&error) != nullptr) return {400, {}, error.what(), {}, {}};
    const bool passing = dynamic_cast<const escqrs::StoreError*>(&error) != nullptr ||
                         dynamic_cast<const escqrs::TransportError*>(&error) != nullptr;
    if (passing) return {503, {}, "The conference's storage is not available just now.", {}, {{"Retry-After", "1"}}};
    return {500, {}, "Something went wrong here.", {}, {}};
}

} // namespace conference::web
