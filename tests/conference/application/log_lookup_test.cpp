// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "application/log_lookup.hpp"

#include <escqrs/error.hpp>
#include <escqrs/id_generator.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/testing/catch2.hpp>

#include <memory>
#include <optional>
#include <vector>

using namespace conference;

TEST_CASE("log lookup: opens the log once, and again after it could not be read")
{
    const auto store = std::make_shared<escqrs::in_memory::EventStore>();
    int opened = 0;
    bool is_away = true;
    LogLookup log{[&] {
        ++opened;
        if (is_away) throw escqrs::StoreError{"away"};
        return escqrs::AnyEventStore{store};
    }};
    const escqrs::StreamId stream{"attendee", "1"};
    CHECK(log.holds(stream, escqrs::StreamVersion{1}) == std::nullopt);
    CHECK(log.holds(stream, escqrs::StreamVersion{1}) == std::nullopt);
    CHECK(opened == 2);
    is_away = false;
    CHECK(log.holds(stream, escqrs::StreamVersion{1}) == false);
    escqrs::NewEvent event;
    event.id = escqrs::EventId{escqrs::random_uuid()};
    event.type = "something.v1";
    store->append(stream, escqrs::ExpectedVersion::no_stream(), std::vector{event});
    CHECK(log.holds(stream, escqrs::StreamVersion{1}) == true);
    CHECK(log.holds(stream, escqrs::StreamVersion{2}) == false);
    CHECK(opened == 3);
}
