// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "worker_fixture.hpp"

#include <escqrs/testing/catch2.hpp>

#include <string>
#include <vector>

using namespace conference;
using namespace conference::test;

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

TEST_CASE("worker: dead letters that cannot be counted are settled all the same, and counted later")
{
    Workplace place;
    place.history.register_attendee();
    auto messages = place.history.messages();
    messages[0].body = "{";
    place.send(messages);
    place.own.database.execute("CREATE TRIGGER uncounted BEFORE UPDATE OF dead_lettered ON progress "
                               "BEGIN SELECT RAISE(ABORT, 'the disk is full'); END");
    CHECK(place.work_once() == BatchResult{1, 0, 0, 1});
    CHECK(place.model.queries.progress().dead_lettered == 0);
    const auto lines = place.log.size();
    CHECK(place.log.back().find("cannot count dead-lettered messages: ") == 0);
    for (int round = 0; round < 10; ++round) CHECK(place.work_once() == BatchResult{});
    CHECK(place.log.size() == lines); // once is enough
    messages[0].message_id = "another";
    place.send(messages);
    CHECK(place.work_once() == BatchResult{1, 0, 0, 1});
    CHECK(place.work_once() == BatchResult{});
    CHECK(place.log.size() == lines + 2); // of the message, and that two are not counted
    place.own.database.execute("DROP TRIGGER uncounted");
    CHECK(place.work_once() == BatchResult{});
    CHECK(place.work_once() == BatchResult{});
    CHECK(place.model.queries.progress().dead_lettered == 2);
}
