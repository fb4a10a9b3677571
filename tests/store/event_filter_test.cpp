// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/store/event_filter.hpp>

#include <escqrs/testing/catch2.hpp>

using escqrs::EventFilter;

TEST_CASE("a filter matches by category and type, and an empty list matches all")
{
    const EventFilter all;
    CHECK(all.matches_everything());
    CHECK(all.matches("attendee", "AttendeeRegistered"));

    const EventFilter attendees{.categories = {"attendee", "guest"}};
    CHECK_FALSE(attendees.matches_everything());
    CHECK(attendees.matches("guest", "GuestSigned"));
    CHECK_FALSE(attendees.matches("attend", "AttendeeRegistered"));

    const EventFilter both{.categories = {"attendee"}, .types = {"AttendeeRegistered"}};
    CHECK(both.matches("attendee", "AttendeeRegistered"));
    CHECK_FALSE(both.matches("attendee", "AttendeeUnregistered"));
    CHECK_FALSE(both.matches("guest", "AttendeeRegistered"));
    CHECK(both == EventFilter{{"attendee"}, {"AttendeeRegistered"}});
    CHECK_FALSE(both == attendees);
}
