// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../domain/attendee.hpp"
#include "../domain/former_events.hpp"

#include <escqrs/codec/upcasting.hpp>
#include <escqrs/messaging/cloud_events.hpp>

namespace conference {

/// The events of attendees, also as earlier releases stored them: for whatever reads streams, the log or the queue.
using AttendeeEvents = escqrs::Evolution<Attendee::EventTypes, escqrs::Upcast<trim_reason>>;

using AttendeeCodec = escqrs::Codec<AttendeeEvents>;
using AttendeeMessages = escqrs::CloudEvents<AttendeeEvents>;

} // namespace conference
