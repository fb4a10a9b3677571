// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../domain/attendee.hpp"

#include <escqrs/core/timestamp.hpp>

#include <optional>
#include <string>

namespace conference {

/// What the read model shows of one attendee.
struct AttendeeView {
    AttendeeId id;
    bool registered = false;
    std::string email;
    std::optional<std::string> pending_email;
    std::optional<std::string> reason; ///< why they unregistered
    escqrs::StreamVersion version;
    escqrs::GlobalPosition position; ///< of the last event shown here
    escqrs::Timestamp registered_at{};
    escqrs::Timestamp updated_at{};

    friend bool operator==(const AttendeeView&, const AttendeeView&) = default;
};

} // namespace conference
