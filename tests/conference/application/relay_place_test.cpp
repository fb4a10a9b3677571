// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "application/attendee_events.hpp"
#include "application/attendee_handlers.hpp"
#include "application/relay_place.hpp"
#include "support/temporary_folder.hpp"

#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/in_memory/message_queue.hpp>
#include <escqrs/messaging/relay.hpp>
#include <escqrs/testing/catch2.hpp>

#include <memory>
#include <span>
#include <string>

using namespace conference;
using escqrs::GlobalPosition;

TEST_CASE("relay place: what the queue refuses is parked in the file, and is sent when the queue takes it")
{
    const TemporaryFolder folder;
    Settings settings;
    settings.store = {"sqlite", folder.file("events.db")};
    escqrs::AnyEventStore store{std::make_shared<escqrs::in_memory::EventStore>()};
    const AttendeeRepository attendees{store, one_attempt};
    const auto register_attendee = [&](const std::string& email) {
        auto attendee = Attendee::register_with(AttendeeId{escqrs::random_uuid()}, Email::parse(email));
        attendees.save(attendee);
        return AttendeeRepository::stream_of(attendee.id());
    };
    const auto refused = register_attendee("babbage@example.org");
    register_attendee("ada@example.org");

    escqrs::in_memory::MessageQueue queue;
    struct Sender {
        void send(std::span<const escqrs::Message> messages)
        {
            for (const escqrs::Message& message : messages) {
                if (is_picky && message.body.find("babbage") != std::string::npos)
                    throw escqrs::MessageRefused{message.message_id, "not this one"};
            }
            queue->send(messages);
        }
        escqrs::in_memory::MessageQueue* queue;
        bool is_picky;
    };
    {
        Sender sender{&queue, true};
        const auto place = open_relay_place(settings);
        escqrs::Relay relay{store, *place, *place, sender, AttendeeMessages{"/conference"}};
        relay.catch_up();
        CHECK(queue.counts().active == 1);
        REQUIRE(relay.parked().size() == 1);
        CHECK(relay.parked()[0].stream == refused);
    }
    const auto place = open_relay_place(settings);
    CHECK(place->load() == GlobalPosition{2});
    CHECK(place->find(refused)->position == GlobalPosition{1});
    Sender sender{&queue, false};
    escqrs::Relay relay{store, *place, *place, sender, AttendeeMessages{"/conference"}};
    CHECK(relay.replay(refused));
    CHECK(queue.counts().active == 2);
    CHECK(place->is_empty());
}
