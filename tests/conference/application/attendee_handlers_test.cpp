// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "application/attendee_handlers.hpp"

#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/testing/catch2.hpp>

#include <memory>

using namespace conference;

TEST_CASE("register: of two processes that draw ids for one command, the later gets the first one's result")
{
    escqrs::AnyEventStore store{std::make_shared<escqrs::in_memory::EventStore>()};
    const AttendeeRepository attendees{store, one_attempt};
    escqrs::CommandBus bus; // without deduplication: the other process did not know of the command yet
    handle_attendee_commands(bus, attendees, store);
    escqrs::Metadata metadata;
    metadata.command_id = escqrs::CommandId{escqrs::random_uuid()};
    const RegisterAttendee first{AttendeeId{escqrs::random_uuid()}, "ada@example.org"};
    const RegisterAttendee second{AttendeeId{escqrs::random_uuid()}, "ada@example.org"};
    const auto stored = bus.send(first, metadata);
    CHECK_FALSE(stored.repeated);
    const auto repeated = bus.send(second, metadata);
    CHECK(repeated == stored);
    CHECK(repeated.repeated);
    CHECK(store.head() == escqrs::GlobalPosition{1});
}
