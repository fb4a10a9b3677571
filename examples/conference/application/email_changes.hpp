// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../domain/attendee.hpp"

#include <escqrs/core/timestamp.hpp>
#include <escqrs/store/any_event_store.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace conference {

/// A request for another address, and what became of it.
struct EmailChange {
    enum class State : std::uint8_t {
        pending,
        confirmed,
        replaced, ///< by a later request
        ended,    ///< with the registration
    };

    std::string email;
    ConfirmationId confirmation_id;
    escqrs::Timestamp requested_at{};
    State state = State::pending;
};

/// All such requests of a registration, the oldest first: none but the last can be pending.
std::vector<EmailChange> email_changes(escqrs::AnyEventStore& store, const AttendeeId& id);

} // namespace conference
