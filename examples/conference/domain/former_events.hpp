// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "events.hpp"

#include <string>
#include <string_view>

// Events as earlier releases stored them, and what they are today. Nothing here is ever changed or removed: streams and
// queues hold such events for as long as they exist.
namespace conference {

/// Version 0 kept the reason as it was typed.
struct AttendeeUnregisteredV0 {
    static constexpr std::string_view event_name = "AttendeeUnregistered";

    std::string reason;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("reason", reason);
    }
};

AttendeeUnregistered trim_reason(const AttendeeUnregisteredV0& old);

} // namespace conference
