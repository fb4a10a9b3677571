// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../domain/attendee.hpp"

#include <string>

namespace conference {

// What people may ask of the conference. Texts come as they were typed; the domain checks them.

struct RegisterAttendee {
    AttendeeId attendee_id;
    std::string email;
};

struct ChangeEmail {
    AttendeeId attendee_id;
    std::string email;
};

struct ConfirmEmail {
    AttendeeId attendee_id;
    ConfirmationId confirmation_id;
};

struct UnregisterAttendee {
    AttendeeId attendee_id;
    std::string reason;
};

} // namespace conference
