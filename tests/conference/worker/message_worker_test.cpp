// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "worker_fixture.hpp"

#include <escqrs/testing/catch2.hpp>

#include <stdexcept>
#include <stop_token>
#include <string>
#include <vector>

using namespace conference;
using namespace conference::test;
using namespace std::chrono_literals;

namespace {

constexpr escqrs::MessageQueueCounts empty_queue{};

/// Ada registers, asks for another address and leaves; her leaving as an earlier release put it on the queue.
std::vector<escqrs::Message> with_former_unregistered(Workplace& place, const AttendeeId& ada)
{
    place.history.request_email(ada, "lovelace@example.net");
    place.history.change(ada, [](Attendee& attendee) { attendee.unregister("ill"); });
    auto messages = place.history.messages();
    escqrs::Message& former = messages.back();
    former.body = R"({"reason":"  ill \n"})";
    former.properties.set("cloudEvents:schemaversion", "0");
    return messages;
}

} // namespace

TEST_CASE("worker: a batch becomes the read model, and the queue is empty")
{
    Workplace place;
    const auto id = place.history.register_attendee();
    place.history.request_email(id, "lovelace@example.net");
    place.history.register_attendee();
    place.send(place.history.messages());
    CHECK(place.work_once() == BatchResult{3, 3, 0, 0});
    CHECK(place.model.attendees() == place.history.fold());
    CHECK(place.model.mails() == place.history.owed_mails());
    CHECK(place.queue.counts() == empty_queue);
    CHECK(place.work_once() == BatchResult{});
}

TEST_CASE("worker: a duplicate is completed and changes nothing")
{
    Workplace place;
    const auto id = place.history.register_attendee();
    place.history.request_email(id, "lovelace@example.net");
    place.send(place.history.messages());
    place.work();
    const auto revision = place.model.queries.revision();
    place.send(place.history.messages());
    CHECK(place.work_once() == BatchResult{2, 2, 0, 0});
    CHECK(place.model.queries.revision() == revision);
    CHECK(place.model.mails() == place.history.owed_mails());
}

TEST_CASE("worker: poison in the middle of a batch is dead-lettered with the reason, and the rest is handled")
{
    Workplace place;
    const auto ada = place.history.register_attendee();
    place.history.request_email(ada, "lovelace@example.net");
    place.history.change(ada, [](Attendee& attendee) { attendee.unregister("other plans"); });
    const auto byron = place.history.register_attendee();
    auto messages = place.history.messages();
    const std::string good = messages[1].body;
    messages[1].body = "{\"email\": \"love";
    escqrs::Message stranger;
    stranger.message_id = "stranger";
    stranger.body = "no event at all";
    escqrs::Message unknown = messages[3];
    unknown.message_id = "unknown";
    unknown.session_id = "unknown";
    unknown.properties.set("cloudEvents:type", "AttendeeBeamedUp");
    messages.insert(messages.begin() + 1, {stranger, unknown});
    place.send(messages);

    // Ada's later event has to wait for the damaged one.
    CHECK(place.work_once() == BatchResult{6, 2, 1, 3});
    CHECK(place.model.attendees().at(ada).version == escqrs::StreamVersion{1});
    CHECK(place.model.attendees().at(byron).registered);
    std::map<std::string, std::string> reasons;
    for (const auto& letter : place.dead_letters()) {
        reasons[letter.message.message_id] = letter.reason;
        CHECK_FALSE(letter.description.empty());
    }
    CHECK(reasons == std::map<std::string, std::string>{{messages[3].message_id, "CodecError"},
                                                        {"stranger", "CodecError"},
                                                        {"unknown", "UnknownEventType"}});

    SECTION("what has to wait too long for its forerunner is dead-lettered as well")
    {
        place.work();
        REQUIRE(place.dead_letters().size() == 4);
        CHECK(place.model.queries.progress().dead_lettered == 4);
        const auto letter = place.dead_letters().back();
        CHECK(letter.message.subject == "AttendeeUnregistered");
        CHECK(letter.reason == "OutOfOrder");
        CHECK(letter.description.find("expected event version 2, found 3") != std::string::npos);
        CHECK(letter.delivery_count == 3);
    }
    SECTION("once the forerunner comes, mended, everything is caught up with")
    {
        auto mended = messages[3];
        mended.body = good;
        place.send({mended});
        place.work();
        for (const auto& letter : place.dead_letters()) {
            if (letter.reason == "OutOfOrder") CHECK(place.queue.resubmit(letter.message.message_id));
        }
        place.work();
        CHECK(place.model.attendees() == place.history.fold());
        CHECK(place.model.mails() == place.history.owed_mails());
    }
}

TEST_CASE("worker: a message of an earlier release is upcast")
{
    Workplace place;
    const auto ada = place.history.register_attendee();
    place.send(with_former_unregistered(place, ada));
    place.work();
    CHECK(place.dead_letters().empty());
    CHECK(place.model.attendees().at(ada).reason == "ill");
    CHECK(place.model.attendees() == place.history.fold());
}

TEST_CASE("worker: a dead letter of an earlier release is upcast when it is given back")
{
    Workplace place;
    place.history.register_attendee();
    place.send(place.history.messages());
    const auto ada = place.history.register_attendee();
    auto messages = with_former_unregistered(place, ada);
    place.send({messages.back()});
    place.work();
    REQUIRE(place.dead_letters().size() == 1);
    CHECK(place.dead_letters().front().reason == "OutOfOrder");
    messages.pop_back();
    place.send(messages);
    place.work();
    CHECK(place.queue.resubmit(place.dead_letters().front().message.message_id));
    place.work();
    CHECK(place.dead_letters().empty());
    CHECK(place.model.attendees().at(ada).reason == "ill");
}

TEST_CASE("worker: a message of a newer release is dead-lettered, with the versions in the description")
{
    Workplace place;
    const auto ada = place.history.register_attendee();
    auto messages = with_former_unregistered(place, ada);
    messages.back().properties.set("cloudEvents:schemaversion", "2");
    place.send(messages);
    place.work();
    REQUIRE(place.dead_letters().size() == 1);
    CHECK(place.dead_letters().front().reason == "NewerSchemaVersion");
    CHECK_THAT(place.dead_letters().front().description, Catch::Contains("version 2") && Catch::Contains("up to 1"));
    CHECK(place.model.attendees().at(ada).registered);
}

TEST_CASE("worker: what a failing subscriber leaves is undone, for its message only")
{
    Workplace place;
    const auto ada = place.history.register_attendee();
    place.history.request_email(ada, "lovelace@example.net");
    place.history.change(ada, [](Attendee& attendee) { attendee.unregister("other plans"); });
    place.history.register_attendee("byron@example.org");
    bool broken = true;
    int calls = 0;
    const auto connection = place.own.bus.subscribe<EmailChangeRequested>([&](const EmailChangeRequested&) {
        ++calls; // the projection has written everything by now
        if (broken) throw std::runtime_error{"the lamp is\nbroken \xFF"};
    });
    place.send(place.history.messages());

    CHECK(place.work_once() == BatchResult{4, 2, 2, 0});
    CHECK(place.model.attendees().at(ada).version == escqrs::StreamVersion{1});
    CHECK_FALSE(place.model.attendees().at(ada).pending_email);
    CHECK(place.model.mails().size() == 2); // of the registrations
    CHECK(place.model.attendees().size() == 2);
    CHECK(calls == 2); // in the batch as a whole, and alone

    SECTION("the message carries the error, and is handled when the subscriber works again")
    {
        auto again = place.queue.receive(1, 0us);
        REQUIRE(again.size() == 1);
        CHECK(again[0].message.properties.find("lastError") ==
              "HandlerFailed: 1 subscriber(s) of event 'EmailChangeRequested' failed; the lamp is broken ?");
        place.queue.settle(again[0], escqrs::Abandon{});
        broken = false;
        place.work();
        CHECK(place.model.attendees() == place.history.fold());
        CHECK(place.model.mails() == place.history.owed_mails());
    }
    SECTION("at the last attempt it is dead-lettered")
    {
        CHECK(place.work_once() == BatchResult{2, 0, 2, 0});
        CHECK(place.work_once() == BatchResult{2, 0, 1, 1});
        REQUIRE(place.dead_letters().size() == 1);
        CHECK(place.dead_letters()[0].reason == "HandlerFailed");
        CHECK(place.dead_letters()[0].description.find("the lamp is broken") != std::string::npos);
        CHECK(calls == 6);
    }
}

TEST_CASE("worker: what fails once is handled in the same delivery")
{
    Workplace place;
    for (int count = 0; count < 3; ++count) place.history.register_attendee();
    place.send(place.history.messages());
    int failures = 1;
    const auto connection = place.own.bus.subscribe<AttendeeRegistered>([&](const AttendeeRegistered&) {
        if (failures-- > 0) throw std::runtime_error{"not now"};
    });
    CHECK(place.work_once() == BatchResult{3, 3, 0, 0});
    CHECK(place.model.attendees() == place.history.fold());
}

TEST_CASE("worker: an outage in the middle of a batch leaves nothing of it, and gives all back")
{
    Workplace place;
    for (int count = 0; count < 4; ++count) place.history.register_attendee();
    place.send(place.history.messages());
    int calls = 0;
    const bool swallowed = GENERATE(false, true);
    {
        const auto connection = place.own.bus.subscribe<AttendeeRegistered>([&](const AttendeeRegistered&) {
            if (++calls != 3) return;
            place.own.database.execute("ROLLBACK"); // as SQLite does when the disk is full
            if (!swallowed) throw escqrs::StoreError{"the disk is full"};
        });
        CHECK_THROWS_AS(place.work_once(), escqrs::StoreError);
    }
    CHECK(calls == 3);
    CHECK(place.model.attendees().empty());
    CHECK(place.queue.counts().active == 4);
    place.work();
    CHECK(place.model.attendees() == place.history.fold());
}

TEST_CASE("worker: a batch that fails while the worker is stopped is given back")
{
    Workplace place;
    for (int count = 0; count < 3; ++count) place.history.register_attendee();
    place.send(place.history.messages());
    std::stop_source stop;
    {
        const auto connection = place.own.bus.subscribe<AttendeeRegistered>([&](const AttendeeRegistered&) {
            stop.request_stop();
            throw std::runtime_error{"not now"};
        });
        CHECK(place.own.worker.work_once(stop.get_token()) == BatchResult{3, 0, 3, 0});
    }
    CHECK(place.model.attendees().empty());
    place.work();
    CHECK(place.model.attendees() == place.history.fold());
}

TEST_CASE("worker: what follows a failed message in its session is not handled, whatever it is")
{
    Workplace place;
    for (int count = 0; count < 3; ++count) place.history.register_attendee();
    auto messages = place.history.messages();
    messages[0].session_id = messages[1].session_id = "one line for two attendees";
    int failures = 2; // in the batch as a whole, and alone
    const auto connection = place.own.bus.subscribe<AttendeeRegistered>([&](const AttendeeRegistered&) {
        if (failures-- > 0) throw std::runtime_error{"not now"};
    });
    place.send(messages);
    CHECK(place.work_once() == BatchResult{3, 1, 2, 0});
    CHECK(place.model.attendees().size() == 1);
    place.work();
    CHECK(place.model.attendees() == place.history.fold());
}

TEST_CASE("worker: events of a session in the wrong order put themselves right")
{
    Workplace place;
    const auto ada = place.history.register_attendee();
    for (int count = 0; count < 4; ++count)
        place.history.request_email(ada, "a" + std::to_string(count) + "@example.net");
    auto messages = place.history.messages();
    std::swap(messages[0], messages[1]);
    std::swap(messages[3], messages[4]);
    place.send(messages);
    place.work();
    CHECK(place.model.attendees() == place.history.fold());
    CHECK(place.model.mails() == place.history.owed_mails());
    CHECK(place.queue.counts() == empty_queue);
}

TEST_CASE("worker: a message too large to carry its error does not keep others from being settled")
{
    Workplace place;
    place.history.register_attendee();
    place.history.register_attendee();
    auto messages = place.history.messages();
    const std::size_t limit = escqrs::MessageQueueOptions{}.max_message_size;
    messages[0].properties.set("padding", "");
    messages[0].properties.set("padding",
                               std::string(limit - escqrs::message_queue_rules::message_size(messages[0]), '.'));
    place.send(messages);
    int failures = 2; // in the batch as a whole, and alone
    const auto connection = place.own.bus.subscribe<AttendeeRegistered>([&](const AttendeeRegistered&) {
        if (failures-- > 0) throw std::runtime_error{"not now"};
    });
    CHECK(place.work_once() == BatchResult{2, 1, 1, 0});
    place.work();
    CHECK(place.model.attendees() == place.history.fold());
    CHECK(place.queue.counts() == empty_queue);
}
