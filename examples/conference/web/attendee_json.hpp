// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../http/http_server.hpp"
#include "../read_model/attendee_view.hpp"

#include <escqrs/commands/commit_result.hpp>
#include <escqrs/messaging/message_queue.hpp>
#include <escqrs/store/any_event_store.hpp>

#include <boost/json/array.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

// What the API's JSON looks like.
namespace conference::web {

boost::json::object to_json(const AttendeeView& view);
boost::json::object to_json(const AttendeeId& id, const escqrs::CommitResult& result);
boost::json::object to_json(const escqrs::DeadLetteredMessage& letter); ///< without confirmation ids

/// Some of an attendee's events, in order.
struct HistoryPage {
    boost::json::array events;
    std::optional<escqrs::StreamVersion>
        next; ///< the version that the next page comes after; none: this is the last one
};

/// At most a hundred stored events, of 64 KiB or little more, in versions (after, up_to], for people: never the confirmation id,
/// which is a secret between the mail and its reader.
HistoryPage history(escqrs::AnyEventStore& store, const AttendeeId& id, escqrs::StreamVersion after,
                    std::optional<escqrs::StreamVersion> up_to = std::nullopt);

/// The body of a command: one JSON object.
class CommandBody {
public:
    /// @throws RequestRefused 415 or 400
    explicit CommandBody(const http::Request& request);

    /// @throws RequestRefused 400 that names the field
    std::string text(std::string_view field) const;
    std::optional<std::string> optional_text(std::string_view field) const;

private:
    std::shared_ptr<const boost::json::object> body_;
};

http::Response json_response(unsigned status, const boost::json::object& body);

} // namespace conference::web
