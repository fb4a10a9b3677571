// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// A broker that does not answer an attach, gives no credit, refuses too early, or lets go again at once.
#include "emulator_queue.hpp"

#include <escqrs/testing/catch2.hpp>

#include <chrono>
#include <string>

namespace {

using namespace std::chrono_literals;
using namespace service_bus_test;
using Catch::Matchers::Contains;
using service_bus::QueueUse;

std::int64_t stat(const char* name) { return Emulator::shared().stats().at(name).to_number<std::int64_t>(); }

QueueSettings settings_for(const EmulatorQueue& place, QueueUse use)
{
    QueueSettings settings = place.settings();
    settings.use = use;
    settings.connection.operation_timeout = 500ms;
    return settings;
}

/// Receives for a while, in calls as short as they may be. @return the last error
std::string receive_for_a_while(MessageQueue& queue)
{
    std::string error;
    for (int call = 0; call < 5; ++call) {
        try {
            (void)queue.receive(1, 0ms, {});
        } catch (const escqrs::TransportError& failure) {
            error = failure.what();
        }
    }
    return error;
}

} // namespace

TEST_CASE("a sender whose attach is not answered, or gets no credit, attaches again", "[faults]")
{
    const std::string how = GENERATE("unanswered", "without-credit");
    const int count = GENERATE(1, 2);
    const EmulatorQueue place;
    Emulator::shared().fault("attach", {{"how", how}, {"entity", place.name()}, {"count", count}});
    MessageQueue queue{settings_for(place, QueueUse::send)};
    CHECK_NOTHROW(send(queue, make_message("m")));
    CHECK_FALSE(queue.health().problem());
    CHECK(queue.health().connections == (how == "unanswered" && count == 2 ? 2U : 1U));
    CHECK(place.counts().active == 1);
}

TEST_CASE("a sender that the broker does not answer says so, and is not well", "[faults]")
{
    const std::string how = GENERATE("unanswered", "without-credit");
    const EmulatorQueue place;
    Emulator::shared().fault("attach", {{"how", how}, {"entity", place.name()}});
    QueueSettings settings = settings_for(place, QueueUse::send);
    settings.sender.timeout = 2s;
    MessageQueue queue{settings};
    const std::string reason = how == "unanswered" ? "the attach" : "no credit";
    CHECK_THROWS_WITH(send(queue, make_message("m")), Contains(reason));
    REQUIRE(queue.health().problem());
    CHECK_THAT(*queue.health().problem(), Contains(reason));
    Emulator::shared().fault("none");
    CHECK_NOTHROW(send(queue, make_message("n")));
    CHECK_FALSE(queue.health().problem());
}

TEST_CASE("a sender gives up links without credit, though each call ends before that", "[faults]")
{
    const EmulatorQueue place;
    Emulator::shared().fault("attach", {{"how", "without-credit"}, {"entity", place.name()}});
    QueueSettings settings = settings_for(place, QueueUse::send);
    settings.sender.timeout = 300ms;
    MessageQueue queue{settings};
    const auto lacks_credit = [&] {
        return queue.health().problem().value_or("").find("no credit") != std::string::npos;
    };
    const auto is_sent = [&](const char* id) {
        try {
            send(queue, make_message(id));
            return true;
        } catch (const escqrs::TransportError&) {
            return false;
        }
    };
    REQUIRE(eventually([&] { return queue.health().attached; }));
    CHECK_FALSE(is_sent("m")); // nothing waits for credit any more
    REQUIRE(eventually(lacks_credit));
    const auto attaches = stat("attaches");
    CHECK(eventually([&] { return stat("attaches") >= attaches + 3; }));
    CHECK(eventually(lacks_credit)); // while a link is attached anew, that is the problem
    Emulator::shared().fault("none");
    CHECK(eventually([&] { return is_sent("n"); }));
    CHECK_FALSE(queue.health().problem());
}

TEST_CASE("a receiver whose attach is never answered is not well, and works when the broker does", "[faults]")
{
    const bool sessions = GENERATE(false, true);
    const EmulatorQueue place{{{"requiresSession", sessions}}};
    MessageQueue sender{place.settings()};
    send(sender, make_message("m", sessions ? "s" : ""));
    Emulator::shared().fault("attach", {{"how", "unanswered"}, {"entity", place.name()}});
    MessageQueue queue{settings_for(place, QueueUse::receive)};
    CHECK(eventually([&] {
        receive_for_a_while(queue);
        CHECK_FALSE(queue.health().attached);
        const auto problem = queue.health().problem();
        return problem && problem->find("the attach") != std::string::npos;
    }));
    CHECK_FALSE(queue.health().waits_for_session);
    Emulator::shared().fault("none");
    std::vector<escqrs::ReceivedMessage> received;
    CHECK(eventually([&] {
        try {
            received = queue.receive(1, 1s, {});
        } catch (const escqrs::TransportError&) {
            return false; // it pauses before it tries again
        }
        return !received.empty();
    }));
    CHECK(ids_of(received) == std::vector<std::string>{"m"});
    CHECK_FALSE(queue.health().problem());
}

TEST_CASE("a receiver for which there is no session is well, and not attached")
{
    const EmulatorQueue place{{{"requiresSession", true}}};
    MessageQueue queue{place.settings()};
    REQUIRE(eventually([&] { return queue.health().authorised; }));
    CHECK(queue.receive(1, 0ms, {}).empty());
    CHECK(queue.health().waits_for_session);
    CHECK_FALSE(queue.health().attached);
    CHECK_FALSE(queue.health().problem());
    send(queue, make_message("m", "s"));
    const auto received = receive_all(queue, 1);
    REQUIRE(received.size() == 1);
    CHECK(queue.health().attached);
    CHECK_FALSE(queue.health().waits_for_session);
}

TEST_CASE("links that are let go at once have pauses between them, and the queue is not well", "[faults]")
{
    const std::string how = GENERATE("detached", "closed");
    const QueueUse use = GENERATE(QueueUse::send, QueueUse::receive);
    const bool sessions = GENERATE(false, true);
    const EmulatorQueue place{{{"requiresSession", sessions}}};
    QueueSettings settings = settings_for(place, use);
    settings.connection.longest_reconnect_delay = settings.connection.reconnect_delay = 1h;
    Emulator::shared().fault("attach", {{"how", how}, {"entity", place.name()}});
    MessageQueue queue{settings};
    if (use == QueueUse::receive) {
        CHECK(eventually([&] {
            receive_for_a_while(queue);
            return queue.health().last_error.find(how == "detached" ? "Let go" : "forced") != std::string::npos;
        }));
    } else {
        CHECK(eventually([&] { return !queue.health().last_error.empty(); }));
    }
    const auto attaches = stat("attaches");
    const auto connections = stat("connections");
    if (use == QueueUse::receive) {
        CHECK_THAT(receive_for_a_while(queue), Contains(how == "detached" ? "Let go" : "forced"));
    }
    CHECK(stat("attaches") == attaches); // the pause does not begin anew with each call
    CHECK(stat("connections") == connections);
    REQUIRE(queue.health().problem());
    CHECK_THAT(*queue.health().problem(), Contains(how == "detached" ? "Let go" : "forced"));
}

TEST_CASE("it recovers by itself when the broker keeps its links again", "[faults]")
{
    const std::string how = GENERATE("detached", "closed");
    const EmulatorQueue place;
    Emulator::shared().fault("attach", {{"how", how}, {"entity", place.name()}, {"count", 4}});
    MessageQueue queue{settings_for(place, QueueUse::both)};
    send(queue, make_message("m"));
    CHECK(work_off(queue, 1) == std::vector<std::string>{"m"});
    CHECK_FALSE(queue.health().problem());
}

TEST_CASE("an accept that is refused before its time is not asked for again without a pause", "[faults]")
{
    const EmulatorQueue place{{{"requiresSession", true}}};
    Emulator::shared().fault("attach", {{"how", "refused"}, {"entity", place.name()}});
    MessageQueue queue{settings_for(place, QueueUse::receive)};
    REQUIRE(eventually([&] { return queue.health().authorised; }));
    const auto attaches = stat("attaches");
    CHECK(queue.receive(1, 1s, {}).empty());
    CHECK(stat("attaches") <= attaches + 30);
    CHECK_FALSE(queue.health().problem());
    Emulator::shared().fault("none");
    MessageQueue sender{place.settings()};
    send(sender, make_message("m", "s"));
    CHECK(ids_of(receive_all(queue, 1)) == std::vector<std::string>{"m"});
}

TEST_CASE("requests to a node that lets go of its links fail at once, and attach no more often than others", "[faults]")
{
    const EmulatorQueue place;
    QueueSettings settings = settings_for(place, QueueUse::both);
    settings.connection.longest_reconnect_delay = settings.connection.reconnect_delay = 1h;
    MessageQueue queue{settings};
    REQUIRE(eventually([&] { return queue.health().authorised; }));
    Emulator::shared().fault("attach",
                             {{"how", "detached"}, {"entity", place.name() + "/$deadletterqueue/$management"}});
    CHECK_THROWS_WITH(queue.dead_letters(0, 10), Contains("Let go"));
    const auto attaches = stat("attaches");
    for (int attempt = 0; attempt < 10; ++attempt) CHECK_THROWS_WITH(queue.dead_letters(0, 10), Contains("Let go"));
    CHECK(stat("attaches") == attaches);
}

TEST_CASE("the pause of requests to a node ends with the connection", "[faults]")
{
    const EmulatorQueue place;
    QueueSettings settings = settings_for(place, QueueUse::both);
    settings.connection.longest_reconnect_delay = settings.connection.reconnect_delay = 1h;
    MessageQueue queue{settings};
    send(queue, make_message("m")); // so the connection was of use, and is made again at once
    Emulator::shared().fault("attach",
                             {{"how", "detached"}, {"entity", place.name() + "/$deadletterqueue/$management"}});
    CHECK_THROWS_WITH(queue.dead_letters(0, 10), Contains("Let go"));
    Emulator::shared().fault("none");
    CHECK_THROWS_WITH(queue.dead_letters(0, 10), Contains("Let go"));
    Emulator::shared().fault("drop");
    REQUIRE(eventually([&] { return queue.health().connections == 2 && queue.health().authorised; }));
    CHECK(queue.dead_letters(0, 10).empty());
}

TEST_CASE("requests to a node whose attach is not answered fail, and the connection stays", "[faults]")
{
    const std::string how = GENERATE("unanswered", "without-credit");
    const EmulatorQueue place;
    MessageQueue queue{settings_for(place, QueueUse::both)};
    send(queue, make_message("m"));
    Emulator::shared().fault("attach",
                             {{"how", how}, {"entity", place.name() + "/$deadletterqueue/$management"}, {"count", 1}});
    CHECK_THROWS_WITH(queue.dead_letters(0, 10), Contains(how == "unanswered" ? "the attach" : "no credit"));
    CHECK(eventually([&] {
        try {
            return queue.dead_letters(0, 10).empty();
        } catch (const escqrs::TransportError&) {
            return false;
        }
    }));
    CHECK(queue.health().connections == 1);
}
