// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/store/event_filter.hpp>

#include <escqrs/testing/catch2.hpp>

using escqrs::EventFilter;

TEST_CASE("a filter shows what is in both of its lists, and an empty list asks for nothing")
{
    const EventFilter all;
    CHECK(all.shows_everything());
    CHECK(all.shows("attendee", "AttendeeRegistered"));

    const EventFilter attendees{.categories = {"attendee", "guest"}};
    CHECK_FALSE(attendees.shows_everything());
    CHECK(attendees.shows("guest", "GuestSigned"));
    CHECK_FALSE(attendees.shows("attend", "AttendeeRegistered"));

    const EventFilter both{.categories = {"attendee"}, .types = {"AttendeeRegistered"}};
    CHECK(both.shows("attendee", "AttendeeRegistered"));
    CHECK_FALSE(both.shows("attendee", "AttendeeUnregistered"));
    CHECK_FALSE(both.shows("guest", "AttendeeRegistered"));
    CHECK(both == EventFilter{{"attendee"}, {"AttendeeRegistered"}});
    CHECK_FALSE(both == attendees);
}
