// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "attendee_json.hpp"

#include "../application/attendee_events.hpp"
#include "../application/readable_text.hpp"
#include "../http/field_values.hpp"
#include "../http/problem.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <utility>

namespace conference::web {
namespace {

namespace json = boost::json;

json::value or_null(const std::optional<std::string>& text)
{
    return text ? json::value(json::string{*text}) : json::value(nullptr);
}

template <class Event>
json::object public_data(const Event& event)
{
    if constexpr (requires { event.email; }) return {{"email", event.email}};
    else return {{"reason", event.reason}};
}

/// The body of a message that may hold anything, as valid UTF-8. Its line ends stay.
std::string readable_lines(const std::string& body)
{
    std::string text;
    for (std::size_t begin = 0; begin <= body.size();) {
        const std::size_t end = std::min(body.find('\n', begin), body.size());
        if (begin != 0) text.push_back('\n');
        text.append(readable(std::string_view{body}.substr(begin, end - begin), body.size()));
        begin = end + 1;
    }
    return text;
}

/// The text with whatever looks like an id hidden: in a message's body that can only be a confirmation id, which is a secret
/// between the mail and its reader. A body that is no event, or only a part of one, may hold it too.
std::string without_ids(std::string text)
{
    constexpr std::string_view shape = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    const auto fits = [](char c, char wanted) {
        const bool is_hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        return wanted == '-' ? c == '-' : is_hex;
    };
    auto at = text.begin();
    while ((at = std::search(at, text.end(), shape.begin(), shape.end(), fits)) != text.end())
        at = std::fill_n(at, shape.size(), '*');
    return text;
}

bool is_json(std::string_view content_type)
{
    auto media_type = content_type.substr(0, content_type.find(';'));
    while (media_type.ends_with(' ')) media_type.remove_suffix(1);
    return http::same_name(media_type, "application/json");
}

} // namespace

json::object to_json(const AttendeeView& view)
{
    return {{"attendeeId", to_string(view.id)},
            {"status", view.registered ? "registered" : "unregistered"},
            {"email", view.email},
            {"pendingEmail", or_null(view.pending_email)},
            {"reason", or_null(view.reason)},
            {"version", view.version.value()},
            {"position", view.position.value()},
            {"registeredAt", escqrs::to_rfc3339(view.registered_at)},
            {"updatedAt", escqrs::to_rfc3339(view.updated_at)}};
}

json::object to_json(const AttendeeId& id, const escqrs::CommitResult& result)
{
    return {{"attendeeId", to_string(id)}, {"version", result.version.value()}, {"position", result.position.value()}};
}

json::object to_json(const escqrs::DeadLetteredMessage& letter)
{
    const auto line = [](const std::string& text) { return readable(text, text.size()); };
    return {{"messageId", line(letter.message.message_id)},
            {"subject", line(letter.message.subject)},
            {"sessionId", line(letter.message.session_id)},
            {"reason", line(letter.reason)},
            {"description", line(letter.description)},
            {"deliveryCount", letter.delivery_count},
            {"enqueuedAt", escqrs::to_rfc3339(letter.enqueued_at)},
            {"deadLetteredAt", escqrs::to_rfc3339(letter.dead_lettered_at)},
            {"body", without_ids(readable_lines(letter.message.body))}};
}

HistoryPage history(escqrs::AnyEventStore& store, const AttendeeId& id, escqrs::StreamVersion after,
                    std::optional<escqrs::StreamVersion> up_to)
{
    constexpr std::size_t max_events = 100;
    constexpr std::size_t max_bytes = 64 * 1024;
    const AttendeeCodec codec;
    AttendeeCodec::Scratch scratch;
    HistoryPage page;
    std::size_t bytes = 0;
    escqrs::StreamVersion last;
    const escqrs::StreamId stream{Attendee::category, id.value()};
    store.read_stream(stream, after.next(), [&](const escqrs::RecordedEvent& recorded) {
        if (up_to && recorded.version > *up_to) return false;
        if (page.events.size() == max_events || bytes >= max_bytes) { // there is one more
            page.next = last;
            return false;
        }
        codec.decode(encoded(recorded), scratch, [&](const auto& event) {
            page.events.push_back(json::object{{"type", escqrs::event_name<std::remove_cvref_t<decltype(event)>>()},
                                               {"version", recorded.version.value()},
                                               {"position", recorded.position.value()},
                                               {"time", escqrs::to_rfc3339(recorded.recorded_at)},
                                               {"data", public_data(event)}});
        });
        bytes += recorded.payload.size();
        last = recorded.version;
        return true;
    });
    return page;
}

CommandBody::CommandBody(const http::Request& request)
{
    if (request.body.empty()) http::refuse(400, "malformed-body", "A JSON object is expected in the body.");
    if (!is_json(request.header("Content-Type"))) {
        http::refuse(415, {}, "The body must be sent with Content-Type: application/json.");
    }
    json::parse_options options;
    options.max_depth = 8;
    boost::system::error_code error;
    json::value value = json::parse(request.body, error, {}, options);
    if (error) http::refuse(400, "malformed-body", "The body is not JSON: " + error.message() + ".");
    if (!value.is_object()) http::refuse(400, "malformed-body", "A JSON object is expected in the body.");
    body_ = std::make_shared<const json::object>(std::move(value.as_object()));
}

std::string CommandBody::text(std::string_view field) const
{
    auto value = optional_text(field);
    if (!value)
        http::refuse(400, "missing-field", "The field '" + std::string{field} + "' is needed.", std::string{field});
    return *std::move(value);
}

std::optional<std::string> CommandBody::optional_text(std::string_view field) const
{
    const json::value* const value = body_->if_contains(field);
    if (value == nullptr || value->is_null()) return std::nullopt;
    if (!value->is_string()) {
        http::refuse(400, "malformed-field", "The field '" + std::string{field} + "' must be a text.",
                     std::string{field});
    }
    std::string text{value->as_string()};
    if (text.find('\0') != std::string::npos) { // PostgreSQL has no such texts
        http::refuse(400, "malformed-field",
                     "The field '" + std::string{field} + "' must not hold the character U+0000.", std::string{field});
    }
    return text;
}

http::Response json_response(unsigned status, const json::object& body)
{
    return {status, {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}}, json::serialize(body)};
}

} // namespace conference::web
