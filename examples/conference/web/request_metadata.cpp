// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "request_metadata.hpp"

#include "../http/field_values.hpp"
#include "../http/problem.hpp"

#include <escqrs/core/id_generator.hpp>
#include <escqrs/core/trace_context.hpp>

#include <algorithm>
#include <string_view>

namespace conference::web {
namespace {

// Our own namespaces for name-based ids (RFC 9562, section 5.5).
const escqrs::Uuid command_namespace = escqrs::parse_uuid("8f0c9b52-0c3e-4c43-9c7e-52e8d3c5a1f0");
const escqrs::Uuid digest_namespace = escqrs::parse_uuid("b7a1d6de-5d0f-4b7b-8a55-0d4a3f1c9e21");

constexpr std::string_view digest_header = "request-digest";

/// The client's, if it gave a well-formed one. Most give none, and an exception costs a third of the command.
escqrs::CorrelationId correlation_of(const http::Request& request)
{
    const auto given = request.header("X-Correlation-Id");
    if (given.empty()) return escqrs::CorrelationId{escqrs::random_uuid()};
    try {
        return escqrs::CorrelationId::parse(given);
    } catch (const escqrs::InvalidIdentifier&) {
        return escqrs::CorrelationId{escqrs::random_uuid()};
    }
}

} // namespace

RequestMetadata::RequestMetadata(const http::Request& request)
{
    metadata.actor = "attendee";
    metadata.correlation_id = correlation_of(request);
    if (const auto trace = escqrs::TraceContext::parse(request.header("traceparent")))
        metadata.traceparent = trace->traceparent();

    const bool has_key = std::ranges::any_of(
        request.headers, [](const auto& field) { return http::same_name(field.first, "Idempotency-Key"); });
    if (!has_key) return;
    const auto key = request.header("Idempotency-Key");
    constexpr std::size_t max_length = 255;
    if (key.empty() || key.size() > max_length ||
        !std::ranges::all_of(key, [](char c) { return c > ' ' && c < '\x7f'; })) {
        http::refuse(400, "malformed-idempotency-key", "An Idempotency-Key is 1 to 255 visible ASCII characters.");
    }
    metadata.command_id = escqrs::CommandId{escqrs::name_based_uuid(command_namespace, key)};
    const auto path = request.target.substr(0, request.target.find('?'));
    digest_ = escqrs::to_string(
        escqrs::name_based_uuid(digest_namespace, request.method + '\n' + path + '\n' + request.body));
    metadata.headers.emplace_back(digest_header, digest_);
}

bool RequestMetadata::is_digest_in(const escqrs::Metadata& stored) const
{
    return std::ranges::any_of(
        stored.headers, [&](const auto& header) { return header.first == digest_header && header.second == digest_; });
}

} // namespace conference::web
