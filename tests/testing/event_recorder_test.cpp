// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/lending.hpp"

#include <escqrs/core/stop_token.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/event_recorder.hpp>
#include <escqrs/testing/given_events.hpp>

#include <optional>
#include <thread>

using namespace escqrs::testing;
using lending::BookLent;
using lending::BookReturned;
using lending::Lending;
using lending::ReaderQueued;

TEST_CASE("event recorder: keeps what is published while it lives")
{
    escqrs::EventBus bus;
    given(BookLent{"early"}).published_on(bus);
    const EventRecorder<Lending::Events> recorder{bus};
    given(BookLent{"Ada"}, ReaderQueued{"Bob"}, BookReturned{"Ada"}, BookLent{"Bob"}).published_on(bus);

    REQUIRE(recorder.events<BookLent>().size() == 2);
    CHECK(recorder.events<BookLent>()[1].reader == "Bob");
    CHECK(recorder.events().size() == 3);
    CHECK(recorder.contexts()[1].version == escqrs::StreamVersion{3});
    CHECK(recorder.names() == std::vector<std::string>{"BookLent", "ReaderQueued", "BookReturned", "BookLent"});
}

TEST_CASE("event recorder: compares with what is expected")
{
    escqrs::EventBus bus;
    EventRecorder<Lending::Events> recorder{bus};
    recorder.then();
    given(BookLent{"Ada"}, BookReturned{"Ada"}).published_on(bus);
    recorder.then(BookLent{"Ada"}, any<BookReturned>());
    CHECK_THROWS_WITH(recorder.then(BookLent{"Bob"}, any<BookReturned>()),
                      "expected 2 events, found others\n"
                      "  1. BookLent\n"
                      "       reader: expected 'Bob', found 'Ada'\n"
                      "  2. BookReturned: as expected");
    recorder.clear();
    recorder.then();
    CHECK(recorder.names().empty());
    CHECK(recorder.contexts().empty());
}

TEST_CASE("event recorder: may come and go while another thread publishes")
{
    escqrs::EventBus bus;
    escqrs::jthread publisher{[&](const escqrs::stop_token& stop) {
        const auto history = given(BookLent{"Ada"});
        while (!stop.stop_requested()) history.published_on(bus);
    }};
    for (int time = 0; time < 50; ++time) {
        const EventRecorder<Lending::Events> recorder{bus};
        while (recorder.events<BookLent>().empty()) std::this_thread::yield();
    }
}
