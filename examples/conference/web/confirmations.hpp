// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../application/email_changes.hpp"
#include "../read_model/attendee_queries.hpp"

#include <escqrs/event_store.hpp>

#include <boost/json/fwd.hpp>

namespace conference::web {

/// What the link in a confirmation mail leads to.
struct Confirmation {
    AttendeeId attendee_id; ///< the key to the registration: not for who opens the link, which may be a stranger
    EmailChange change;
};

/// @throws RequestRefused 404 if no mail can have this id
Confirmation find_confirmation(AttendeeQueries& queries, escqrs::AnyEventStore& store, const ConfirmationId& id);

boost::json::object to_json(const EmailChange& change);

} // namespace conference::web
