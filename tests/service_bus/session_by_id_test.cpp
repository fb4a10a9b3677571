// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// One session, accepted by its id.
#include "emulator_queue.hpp"

#include <escqrs/core/error.hpp>
#include <escqrs/testing/catch2.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace service_bus_test;
using Catch::Matchers::Contains;
using Ids = std::vector<std::string>;

QueueSettings settings_for(const EmulatorQueue& place, const std::string& session)
{
    QueueSettings settings = place.settings();
    settings.use = service_bus::QueueUse::receive;
    settings.receiver.session_id = session;
    return settings;
}

/// What a short receive throws; empty: it throws nothing.
std::string error_of_receive(MessageQueue& queue)
{
    try {
        (void)queue.receive(1, 100ms, {});
    } catch (const escqrs::TransportError& error) {
        return error.what();
    }
    return {};
}

} // namespace

TEST_CASE("a session that is accepted by its id gives its messages in order, call after call")
{
    const EmulatorQueue place{{{"requiresSession", true}}};
    MessageQueue sender{place.settings()};
    for (const char* const id : {"1", "2", "3"}) {
        send(sender, make_message("a" + std::string{id}, "a"));
        send(sender, make_message("b" + std::string{id}, "b"));
    }
    MessageQueue queue{settings_for(place, "b")};
    const auto first = queue.receive(1, 10s, {});
    REQUIRE(ids_of(first) == Ids{"b1"});
    CHECK(queue.receive(1, 0ms, {}).empty()); // while it is in hand
    queue.settle(first.front(), escqrs::Complete{});
    const auto second = queue.receive(2, 10s, {});
    REQUIRE(ids_of(second).front() == "b2");
    queue.settle(second.front(), escqrs::Abandon{}); // and what came after it
    const auto again = receive_all(queue, 2);
    CHECK(ids_of(again) == Ids{"b2", "b3"});
    for (const auto& message : again) queue.settle(message, escqrs::Complete{});
    CHECK(queue.receive(1, 0ms, {}).empty());
    CHECK(place.counts().active == 3);
    send(sender, make_message("b4", "b"));
    CHECK(ids_of(receive_all(queue, 1)) == Ids{"b4"});
}

TEST_CASE("a session that another receiver holds is an error that says so, until it is free")
{
    const EmulatorQueue place{{{"requiresSession", true}}};
    MessageQueue sender{place.settings()};
    send(sender, make_message("m", "s"));
    auto holder = std::make_unique<MessageQueue>(settings_for(place, "s"));
    REQUIRE(receive_all(*holder, 1).size() == 1);
    MessageQueue queue{settings_for(place, "s")};
    CHECK_THROWS_WITH(queue.receive(1, 10s, {}), Contains("session 's'") && Contains("session-cannot-be-locked"));
    CHECK_FALSE(queue.health().attached);
    REQUIRE(queue.health().problem());
    CHECK_THAT(*queue.health().problem(), Contains("session 's'") && Contains("session-cannot-be-locked"));
    holder.reset();
    CHECK(work_off(queue, 1) == Ids{"m"});
    CHECK_FALSE(queue.health().problem());
}

TEST_CASE("a session id is refused where there are no sessions, and if no message can have it")
{
    const EmulatorQueue place;
    QueueSettings settings = settings_for(place, "s");
    CHECK_THROWS_WITH(MessageQueue{settings}, Contains("without sessions"));
    settings.receiver.sessions = true; // as the queue has not
    MessageQueue queue{settings};
    CHECK_THROWS_WITH(queue.receive(1, 10s, {}), Contains("does not require sessions"));
    for (const std::string& bad : {std::string{}, std::string(129, 's'), std::string{"\xFF"}}) {
        settings.receiver.session_id = bad;
        CHECK_THROWS_WITH(MessageQueue{settings}, Contains("a session id is given"));
    }
    settings.receiver.session_id = "s";
    settings.connection.broker.dialect = service_bus::Dialect::amqp10;
    CHECK_THROWS_WITH(MessageQueue{settings}, Contains("plain AMQP 1.0"));
}

TEST_CASE("a broker that gives another session than was asked for, or names none, gives none", "[faults]")
{
    const std::string how = GENERATE("other-session", "unnamed-session");
    const EmulatorQueue place{{{"requiresSession", true}}};
    MessageQueue sender{place.settings()};
    send(sender, make_message("m", "s"));
    const std::string problem = how == "other-session" ? "session 'not s'" : "names no session";
    Emulator::shared().fault("attach", {{"how", how}, {"entity", place.name()}});
    {
        QueueSettings settings = settings_for(place, "s");
        settings.connection.reconnect_delay = settings.connection.longest_reconnect_delay = 1h; // it stays so
        MessageQueue queue{settings};
        REQUIRE(eventually([&] { return queue.health().authorised; }));
        CHECK(eventually([&] { return error_of_receive(queue).find(problem) != std::string::npos; }));
        CHECK_THAT(queue.health().problem().value_or(""), Contains(problem));
    }
    Emulator::shared().fault("attach", {{"how", how}, {"entity", place.name()}, {"count", 1}});
    MessageQueue queue{settings_for(place, "s")};
    CHECK(work_off(queue, 1) == Ids{"m"});
    CHECK_THAT(queue.health().last_error, Contains(problem));
    CHECK_FALSE(queue.health().problem());
}
