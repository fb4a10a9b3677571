// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../application/email_changes.hpp"
#include "../http/problem.hpp"
#include "../read_model/attendee_queries.hpp"

#include <escqrs/store/any_event_store.hpp>

#include <boost/json/fwd.hpp>

namespace conference::web {

/// No mail can have this confirmation id.
class UnknownConfirmation : public http::RequestRefused {
public:
    UnknownConfirmation();
};

/// The mail whose link holds this id. Costs one look into an index.
/// @throws UnknownConfirmation
ConfirmationRequest find_request(AttendeeQueries& queries, const ConfirmationId& id);

/// What became of the request. Reads the whole registration.
/// @throws UnknownConfirmation
EmailChange find_change(escqrs::AnyEventStore& store, const ConfirmationRequest& request);

boost::json::object to_json(const EmailChange& change);

} // namespace conference::web
