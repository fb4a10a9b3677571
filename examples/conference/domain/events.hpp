// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/identifiers.hpp>
#include <escqrs/domain/event.hpp>

#include <string>
#include <string_view>

namespace conference {

using ConfirmationId = escqrs::Id<struct ConfirmationIdTag>;

struct AttendeeRegistered {
    static constexpr std::string_view event_name = "AttendeeRegistered";

    std::string email;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("email", email);
    }
};

/// The attendee asked for another address; it counts only once the confirmation id mailed there comes back.
struct EmailChangeRequested {
    static constexpr std::string_view event_name = "EmailChangeRequested";

    std::string email;
    ConfirmationId confirmation_id;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("email", email) & escqrs::field("confirmationId", confirmation_id);
    }
};

struct EmailChangeConfirmed {
    static constexpr std::string_view event_name = "EmailChangeConfirmed";

    std::string email;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("email", email);
    }
};

struct AttendeeUnregistered {
    static constexpr std::string_view event_name = "AttendeeUnregistered";
    static constexpr unsigned schema_version = 1;
    static constexpr unsigned oldest_schema_version = 1; // what was stored before: former_events.hpp

    std::string reason;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("reason", reason);
    }
};

} // namespace conference
