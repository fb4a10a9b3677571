// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// What goes beyond receiving in order: deferred messages, session state, dead letters that cannot be read.
#include "emulator_queue.hpp"

#include <escqrs/testing/catch2.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace service_bus_test;
using Catch::Matchers::Contains;

} // namespace

TEST_CASE("a message is received with all that it was sent with, at first and after it was deferred")
{
    const bool sessions = GENERATE(false, true);
    const EmulatorQueue place{{{"requiresSession", sessions}}};
    MessageQueue queue{place.settings()};
    service_bus::Message sent;
    static_cast<escqrs::Message&>(sent) = make_message("m", sessions ? "s" : "");
    sent.properties = {{"text", "words"}};
    sent.to = "destination";
    sent.reply_to = "answers";
    sent.reply_to_session_id = "answer-session";
    sent.partition_key = sessions ? "s" : "key";
    sent.time_to_live = 1h;
    sent.typed_properties = {{"integer", std::int64_t{7}},
                             {"real", 0.5},
                             {"truth", true},
                             {"moment", escqrs::Timestamp{1'767'225'600'123ms}}};
    queue.send_detailed(std::span{&sent, 1});
    const auto check = [&](const std::vector<service_bus::ReceivedMessage>& received) {
        REQUIRE(received.size() == 1);
        const service_bus::ReceivedMessage& first = received.front();
        CHECK(static_cast<const service_bus::MessageDetails&>(first) == sent);
        CHECK(first.message.properties.find("integer") == "7");
        CHECK(static_cast<const escqrs::Message&>(to_message(first)) == sent);
        CHECK(first.sequence_number == 1);
        CHECK(first.delivery_count == 1);
    };
    const auto received = queue.receive_detailed(1, 10s, {});
    check(received);
    queue.defer(received.front());
    std::vector<escqrs::ReceivedMessage> holder; // of the session
    if (sessions) {
        send(queue, make_message("n", "s"));
        holder = receive_all(queue, 1);
    }
    const std::vector numbers{received.front().sequence_number};
    const auto deferred = queue.management().receive_deferred(numbers, sessions ? "s" : "");
    check(deferred);
    queue.management().settle_deferred(deferred.front(), escqrs::Complete{});
}

TEST_CASE("a deferred message is handed out by its number only, and settled like any other")
{
    const bool sessions = GENERATE(false, true);
    const std::string session = sessions ? "session" : "";
    const EmulatorQueue place{{{"requiresSession", sessions}}};
    MessageQueue queue{place.settings()};
    queue.send(std::vector{make_message("later", session), make_message("now", session)});
    const auto held = receive_all(queue, 2);
    REQUIRE(ids_of(held) == std::vector<std::string>{"later", "now"});
    queue.defer(held[0]);
    CHECK(place.counts().deferred == 1);
    CHECK_THROWS_AS(queue.defer(held[0]), escqrs::MessageLockLost);
    if (!sessions) CHECK(queue.receive(1, 300ms, {}).empty());
    const std::vector numbers{held[0].sequence_number};
    auto& management = queue.management();
    auto deferred = management.receive_deferred(numbers, session);
    REQUIRE(deferred.size() == 1);
    CHECK(deferred[0].message == make_message("later", session));
    CHECK(deferred[0].sequence_number == held[0].sequence_number);
    CHECK(place.counts().locked == 2);
    SECTION("complete")
    {
        management.settle_deferred(deferred[0], escqrs::Complete{});
        CHECK_THROWS_AS(management.settle_deferred(deferred[0], escqrs::Complete{}), escqrs::MessageLockLost);
        CHECK_THROWS_AS(management.receive_deferred(numbers, session), escqrs::TransportError);
    }
    SECTION("abandon: it stays deferred, with what was added")
    {
        management.settle_deferred(deferred[0], escqrs::Abandon{{{"step", "2"}}});
        CHECK(place.counts().deferred == 1);
        deferred = management.receive_deferred(numbers, session);
        REQUIRE(deferred.size() == 1);
        CHECK(deferred[0].message.properties == escqrs::MessageProperties{{"step", "2"}});
        management.settle_deferred(deferred[0], escqrs::Complete{});
    }
    SECTION("dead-letter")
    {
        management.settle_deferred(deferred[0], escqrs::DeadLetter{"why", "because"});
        const auto dead = queue.dead_letters(0, 10);
        REQUIRE(dead.size() == 1);
        CHECK(dead[0].reason == "why");
        CHECK(dead[0].description == "because");
    }
    CHECK(place.counts().deferred == 0);
    queue.settle(held[1], escqrs::Complete{});
    CHECK(place.counts().locked == 0);
}

TEST_CASE("a session's state outlives its messages and its holders")
{
    const EmulatorQueue place{{{"requiresSession", true}}};
    const std::string state{"\0half done\xFF", 11};
    {
        MessageQueue queue{place.settings()};
        CHECK_THROWS_AS(queue.management().session_state("session"), escqrs::TransportError); // not held
        send(queue, make_message("first", "session"));
        const auto held = receive_all(queue, 1);
        REQUIRE(held.size() == 1);
        CHECK(queue.management().session_state("session") == std::nullopt);
        queue.management().set_session_state("session", state);
        queue.settle(held[0], escqrs::Complete{});
        send(queue, make_message("second", "session"));
    }
    MessageQueue queue{place.settings()};
    const auto held = receive_all(queue, 1);
    REQUIRE(ids_of(held) == std::vector<std::string>{"second"});
    CHECK(queue.management().session_state("session") == state);
    queue.management().set_session_state("session", std::nullopt);
    CHECK(queue.management().session_state("session") == std::nullopt);
    queue.settle(held[0], escqrs::Complete{});
}

TEST_CASE("dead letters that cannot be decoded are listed with what is known of them, and block no other")
{
    const EmulatorQueue place;
    MessageQueue queue{place.settings()};
    const auto put = [&](const char* base64) {
        place.emulator().control("POST", "/queues/" + place.name() + "/messages",
                                 {{"messageId", "hostile"}, {"base64", base64}});
    };
    put("AFNzwAoBoQdtYXAtb25lAFN3wQEA"); // properties with the id "map-one", and a map for a body
    put("/////////////w==");             // nothing at all
    send(queue, make_message("good"));
    const auto held = receive_all(queue, 1);
    REQUIRE(ids_of(held) == std::vector<std::string>{"good"});
    queue.settle(held[0], escqrs::DeadLetter{"why", "because"});
    const auto dead = queue.dead_letters(0, 10);
    REQUIRE(dead.size() == 3);
    CHECK(dead[0].message.message_id == "map-one");
    for (const std::size_t at : {0U, 1U}) {
        CHECK(dead[at].reason == "UndecodableMessage");
        CHECK_FALSE(dead[at].description.empty());
        CHECK(dead[at].sequence_number == at + 1);
    }
    CHECK(queue.resubmit("good")); // from behind them
    CHECK_THROWS_WITH(queue.resubmit("map-one"), Contains("cannot be given back") && Contains("map"));
    CHECK_THROWS_AS(queue.resubmit("map-one"), escqrs::MessageRefused);
    CHECK(place.counts().active == 1);
    CHECK(place.counts().dead_lettered == 2);
}

TEST_CASE("a dead letter with too many in front of it is not resubmitted, and they are as they were")
{
    const EmulatorQueue place;
    const QueueSettings settings = place.settings();
    {
        MessageQueue queue{settings};
        queue.send(make_messages(5, 0));
        for (const auto& message : receive_all(queue, 5)) queue.settle(message, escqrs::DeadLetter{"why", "because"});
    }
    const auto connection = service_bus::connect(settings.connection, {{place.name(), service_bus::QueueUse::send}});
    REQUIRE(eventually([&] { return connection->health().authorised; }));
    service_bus::MessageSender sender{*connection, place.name(), settings.sender};
    service_bus::DeadLetterQueue letters{*connection, place.name(), sender, {}, 3};
    const auto before = letters.dead_letters(0, 10);
    REQUIRE(before.size() == 5);
    CHECK_THROWS_WITH(letters.resubmit("message-4"), Catch::Matchers::Contains("more than 3 are in front of it"));
    CHECK_THROWS_AS(letters.resubmit("message-4"), escqrs::MessageRefused);
    const auto after = letters.dead_letters(0, 10);
    REQUIRE(after.size() == 5);
    for (std::size_t at = 0; at < 5; ++at) CHECK(after[at].delivery_count == before[at].delivery_count);
    CHECK(place.counts().active == 0);
    CHECK(letters.resubmit("message-3"));
    CHECK(letters.resubmit("message-4")); // one fewer is in front
    CHECK(letters.dead_letters(0, 10).size() == 3);
    CHECK(place.counts().active == 2);
}
