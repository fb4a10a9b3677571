// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "api_share.hpp"

namespace conference::web {

/// Responds with an event stream that follows one attendee. Each of its messages holds the attendee and a page of the events
/// after version `seen`; the next page is read when the client's socket has taken the one before. Nothing is held for a
/// client that does not read but that one page.
void stream_attendee(const ApiSharePtr& api, const AttendeeId& id, escqrs::StreamVersion seen,
                     const http::Responder& responder);

} // namespace conference::web
