// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// Everything that can happen to connections, links and tokens, and what the adapter makes of it.
#include "emulator_queue.hpp"

#include <escqrs/testing/catch2.hpp>

#include <algorithm>
#include <chrono>
#include <future>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace service_bus_test;
using Catch::Matchers::Contains;

std::int64_t stat(const char* name) { return Emulator::shared().stats().at(name).to_number<std::int64_t>(); }

/// A message each way.
void check_that_it_works(MessageQueue& queue, const std::string& id)
{
    send(queue, make_message(id));
    const auto received = receive_all(queue, 1);
    REQUIRE(ids_of(received) == std::vector{id});
    queue.settle(received[0], escqrs::Complete{});
    CHECK_FALSE(queue.health().problem());
}

} // namespace

TEST_CASE("dropped connections, detached links, closed connections: it recovers by itself", "[faults]")
{
    const EmulatorQueue place;
    MessageQueue queue{place.settings()};
    check_that_it_works(queue, "before");
    const auto connections = queue.health().connections;
    SECTION("drop")
    {
        Emulator::shared().fault("drop");
        check_that_it_works(queue, "after");
        CHECK(queue.health().connections == connections + 1);
    }
    SECTION("detach: on the same connection")
    {
        Emulator::shared().fault("detach");
        check_that_it_works(queue, "after");
        CHECK(queue.health().connections == connections);
    }
    SECTION("close")
    {
        Emulator::shared().fault("close");
        check_that_it_works(queue, "after");
        CHECK(queue.health().connections == connections + 1);
        CHECK_THAT(queue.health().last_error, Contains("amqp:connection:forced"));
    }
    SECTION("idle for ten minutes: links and connection are taken away by the broker")
    {
        for (int minute = 0; minute < 16; ++minute) Emulator::shared().advance(1min);
        check_that_it_works(queue, "after");
    }
    CHECK(place.counts().active == 0);
}

TEST_CASE("a broker that says first how much of a message has come gets it once", "[faults]")
{
    const EmulatorQueue place; // without duplicate detection
    MessageQueue queue{place.settings()};
    Emulator::shared().fault("progress", {{"count", 1}});
    const auto transfers = stat("transfersIn");
    send(queue, make_message("m"));
    CHECK(stat("transfersIn") == transfers + 1);
    CHECK(place.counts().active == 1);
}

TEST_CASE("a message that came settled can be completed, and is lost to anything else", "[faults]")
{
    const bool sessions = GENERATE(false, true);
    const EmulatorQueue place{{{"requiresSession", sessions}}};
    MessageQueue queue{place.settings()};
    Emulator::shared().fault("settled", {{"count", 2}});
    for (const char* const id : {"completed", "abandoned", "locked"}) {
        send(queue, make_message(id, sessions ? "s" : ""));
        const auto received = receive_all(queue, 1);
        REQUIRE(ids_of(received) == std::vector<std::string>{id});
        if (id == std::string_view{"abandoned"})
            CHECK_THROWS_AS(queue.settle(received[0], escqrs::Abandon{}), escqrs::MessageLockLost);
        else CHECK_NOTHROW(queue.settle(received[0], escqrs::Complete{}));
    }
    CHECK(place.counts().to_be_handled() == 0);
    CHECK(queue.health().connections == 1);
}

TEST_CASE("a broker that ends session or connection, and keeps the socket: a new connection is made", "[faults]")
{
    const std::string how = GENERATE("end", "close");
    const bool deaf = GENERATE(false, true);
    const EmulatorQueue place;
    QueueSettings settings = place.settings();
    settings.connection.operation_timeout = 1h; // it is not the operations that notice
    MessageQueue queue{settings};
    check_that_it_works(queue, "before");
    Emulator::shared().fault(how, {{"condition", "com.example:told"}, {"deaf", deaf}});
    check_that_it_works(queue, "after");
    CHECK(queue.health().connections == 2);
    CHECK_THAT(queue.health().last_error, Contains("com.example:told"));
    Emulator::shared().fault("drop"); // the sockets that have no listener
}

TEST_CASE("a receiver to which nothing comes is well, also after a drop", "[faults]")
{
    const bool sessions = GENERATE(false, true);
    const EmulatorQueue place{{{"requiresSession", sessions}}};
    QueueSettings settings = place.settings();
    settings.use = service_bus::QueueUse::receive;
    MessageQueue queue{settings};
    CHECK(eventually([&] { return queue.health().authorised; }));
    CHECK(queue.receive(1, 300ms, {}).empty());
    CHECK_FALSE(queue.health().problem());
    Emulator::shared().fault("drop");
    CHECK(eventually([&] { return queue.health().connections == 2 && queue.health().authorised; }));
    CHECK(queue.receive(1, 300ms, {}).empty());
    CHECK_FALSE(queue.health().problem());
}

TEST_CASE("a batch that is under way when links are detached arrives whole, in order, and once", "[faults]")
{
    const EmulatorQueue place{{{"requiresSession", true}, {"duplicateDetectionWindowMs", 600'000}}};
    MessageQueue queue{place.settings()};
    const auto messages = make_messages(2000, 20);
    auto sending = std::async(std::launch::async, [&] { queue.send(messages); });
    int struck = 0;
    while (sending.wait_for(10ms) == std::future_status::timeout && struck < 10)
        Emulator::shared().fault(++struck % 2 == 0 ? "detach" : "drop");
    REQUIRE_NOTHROW(sending.get());
    CHECK(struck >= 3);
    const auto completed = work_off(queue, messages.size());
    CHECK(completed.size() == messages.size());
    CHECK(std::set(completed.begin(), completed.end()).size() == messages.size());
    std::map<std::size_t, std::size_t> last;
    for (const auto& id : completed) {
        const std::size_t number = std::stoul(id.substr(id.find('-') + 1));
        CHECK((!last.contains(number % 20) || last[number % 20] < number));
        last[number % 20] = number;
    }
}

TEST_CASE("an outcome that got lost: sent again under the same id, the queue keeps one", "[faults]")
{
    const EmulatorQueue place{{{"duplicateDetectionWindowMs", 600'000}}};
    MessageQueue queue{place.settings()};
    const auto dropped = stat("duplicatesDropped");
    Emulator::shared().fault("lose-outcomes", {{"count", 3}});
    const auto messages = make_messages(20, 0);
    queue.send(messages);
    CHECK(stat("duplicatesDropped") > dropped);
    CHECK(place.counts().active == messages.size());
}

TEST_CASE("what no caller waits for any more, and the broker never confirms, ends the connection", "[faults]")
{
    const EmulatorQueue place;
    QueueSettings settings = place.settings();
    settings.sender.timeout = 300ms;
    settings.sender.max_in_flight = 10;
    MessageQueue queue{settings};
    check_that_it_works(queue, "before");
    Emulator::shared().fault("slow", {{"ms", 60'000}});
    CHECK_THROWS_AS(queue.send(make_messages(10, 0)), escqrs::TransportError);
    Emulator::shared().advance(3s);
    CHECK(eventually([&] { return queue.health().last_error.find("does not confirm") != std::string::npos; }));
    Emulator::shared().fault("slow", {{"ms", 0}});
    REQUIRE(eventually([&] { return queue.health().authorised; }));
    send(queue, make_message("after"));
    CHECK(work_off(queue, 11).size() == 11); // the queue has them all; it only never said so
}

TEST_CASE("no more bytes are on their way than the sender's limit, and one message", "[faults]")
{
    const EmulatorQueue place;
    QueueSettings settings = place.settings();
    settings.sender.timeout = 1s;
    settings.sender.max_bytes_in_flight = 250'000;
    MessageQueue queue{settings};
    auto messages = make_messages(10, 0);
    for (auto& message : messages) message.body.assign(100'000, 'x');
    send(queue, make_message("before"));
    Emulator::shared().fault("slow", {{"ms", 60'000}});
    CHECK_THROWS_WITH(queue.send(messages), Contains("10 of 10"));
    CHECK(place.counts().active == 1 + 3);
    Emulator::shared().fault("none");
    QueueSettings patient = place.settings();
    patient.sender.max_bytes_in_flight = 1;
    MessageQueue other{patient};
    CHECK_NOTHROW(other.send(messages));
}

TEST_CASE("a busy broker is given the time it asks for", "[faults]")
{
    const EmulatorQueue place;
    MessageQueue queue{place.settings()};
    check_that_it_works(queue, "before");
    Emulator::shared().fault("busy", {{"count", 1}});
    auto sending = std::async(std::launch::async, [&] { send(queue, make_message("patient")); });
    CHECK(sending.wait_for(300ms) == std::future_status::timeout);
    CHECK(place.counts().active == 0);
    Emulator::shared().advance(2s); // as its message says
    REQUIRE_NOTHROW(sending.get());
    CHECK(place.counts().active == 1);
}

TEST_CASE("a broker busy for longer than the time-out: the error says so, nothing was taken", "[faults]")
{
    const EmulatorQueue place;
    QueueSettings settings = place.settings();
    settings.sender.timeout = 500ms;
    MessageQueue queue{settings};
    check_that_it_works(queue, "before");
    Emulator::shared().fault("busy", {{"count", 1000}});
    CHECK_THROWS_WITH(send(queue, make_message("m")), Contains("server-busy") && Contains("1 of 1"));
    Emulator::shared().fault("busy", {{"count", 0}});
    CHECK(place.counts().active == 0);
}

TEST_CASE("a delivery that the broker aborts is forgotten", "[faults]")
{
    const bool sessions = GENERATE(false, true);
    const EmulatorQueue place{{{"requiresSession", sessions}}};
    MessageQueue queue{place.settings()};
    send(queue, make_message("m", sessions ? "s" : ""));
    Emulator::shared().fault("abort", {{"count", 1}});
    const auto received = receive_all(queue, 1);
    REQUIRE(ids_of(received) == std::vector<std::string>{"m"});
    queue.settle(received[0], escqrs::Complete{});
    const auto counts = place.counts();
    CHECK(counts.to_be_handled() == 0);
    CHECK(counts.dead_lettered == 0);
}

TEST_CASE("a delivery that is larger than any message can be ends its link only, and the message comes again")
{
    const EmulatorQueue place;
    MessageQueue queue{place.settings()};
    send(queue, make_message("m"));
    Emulator::shared().fault("oversized");
    CHECK_THROWS_WITH(queue.receive(1, 10s, {}), Contains("larger than 101 MiB"));
    CHECK(work_off(queue, 1) == std::vector<std::string>{"m"});
    Emulator::shared().fault("oversized");
    CHECK_THROWS_WITH(queue.dead_letters(0, 1), Contains("larger than 101 MiB"));
    CHECK(eventually([&] { return queue.health().authorised && !queue.health().problem(); }));
    CHECK(queue.health().connections == 1);
}

TEST_CASE("a slow broker is waited for", "[faults]")
{
    const EmulatorQueue place;
    MessageQueue queue{place.settings()};
    Emulator::shared().fault("slow", {{"ms", 300}});
    check_that_it_works(queue, "late");
    Emulator::shared().fault("slow", {{"ms", 0}});
}

TEST_CASE("a broker that takes a settlement and never answers: the outcome is reported as unknown", "[faults]")
{
    const EmulatorQueue place;
    MessageQueue queue{place.settings()};
    send(queue, make_message("m"));
    const auto held = receive_all(queue, 1);
    REQUIRE(held.size() == 1);
    Emulator::shared().fault("slow", {{"ms", 3'600'000}});
    CHECK_THROWS_WITH(queue.settle(held[0], escqrs::Complete{}), Contains("outcome unknown"));
    Emulator::shared().fault("slow", {{"ms", 0}});
    check_that_it_works(queue, "after");
}

TEST_CASE("a broker that does not answer at all: never healthy but dead, and well again when it does", "[faults]")
{
    const EmulatorQueue place;
    Emulator::shared().fault("silent", {{"on", true}});
    QueueSettings settings = place.settings();
    settings.connection.operation_timeout = 300ms;
    settings.sender.timeout = 1s;
    MessageQueue queue{settings};
    CHECK_THROWS_WITH(send(queue, make_message("m")), Contains("no answer from the broker"));
    REQUIRE(queue.health().problem());
    CHECK_THAT(*queue.health().problem(), Contains("no answer from the broker"));
    CHECK_THROWS_AS(queue.receive(1, 100ms, {}), escqrs::TransportError);
    Emulator::shared().fault("silent", {{"on", false}});
    CHECK(eventually([&] { return queue.health().authorised; }));
    check_that_it_works(queue, "after");
}

TEST_CASE("a broker that is not there: the error names it, and shows no secret", "[faults]")
{
    const EmulatorQueue place;
    QueueSettings settings = place.settings();
    settings.sender.timeout = 1s;
    Emulator::shared().fault("refuse", {{"on", true}});
    MessageQueue queue{settings};
    CHECK_THROWS_AS(send(queue, make_message("m")), escqrs::TransportError);
    CHECK(queue.health().problem());
    Emulator::shared().fault("refuse", {{"on", false}});
    check_that_it_works(queue, "after");

    settings.connection.broker.port = 1;
    MessageQueue nowhere{settings};
    std::string text;
    try {
        send(nowhere, make_message("m"));
    } catch (const escqrs::TransportError& error) {
        text = error.what();
    }
    CHECK_THAT(text, Contains("refused"));
    CHECK_THAT(text, !Contains("SharedAccess"));
    CHECK_THAT(text, !Contains("sig="));
    const auto& key = std::get<service_bus::SharedAccessKey>(settings.connection.broker.credentials).key;
    REQUIRE(key.size() > 10);
    CHECK_THAT(text, !Contains(key));
}

TEST_CASE("a token is renewed ahead of its expiry, on the living connection", "[faults]")
{
    const EmulatorQueue place;
    QueueSettings settings = place.settings();
    settings.connection.operation_timeout = 1h; // time is moved on in leaps, and an answer may be on its way meanwhile
    MessageQueue queue{settings};
    check_that_it_works(queue, "before");
    const auto tokens = stat("tokensPut");
    const auto attaches = stat("attaches");
    const auto connections = queue.health().connections;
    // An hour and a half, in steps in which no link is idle for too long.
    for (int minutes = 0; minutes < 90; minutes += 5) {
        Emulator::shared().advance(5min);
        check_that_it_works(queue, "after-" + std::to_string(minutes));
    }
    CHECK(stat("tokensPut") > tokens);
    CHECK(queue.health().connections == connections);
    CHECK(stat("attaches") - attaches <= 2); // the answers to the tokens, if they are looked for anew
}

TEST_CASE("a token that expires all the same takes its links with it: a new one is put, and links are attached again",
          "[faults]")
{
    const EmulatorQueue place;
    MessageQueue queue{place.settings()};
    check_that_it_works(queue, "before");
    Emulator::shared().fault("expire");
    check_that_it_works(queue, "after");
}

TEST_CASE("a message that the broker refuses for what it is is named, and the others can go", "[faults]")
{
    const bool is_too_large = GENERATE(false, true);
    const EmulatorQueue place{
        {{"requiresSession", !is_too_large}, {"duplicateDetectionWindowMs", 60'000}, {"maxMessageSize", 10'000}}};
    QueueSettings settings = place.settings();
    settings.default_session.clear();
    MessageQueue queue{settings};
    std::vector<escqrs::Message> messages{make_message("good", "a"), make_message("bad", is_too_large ? "b" : "")};
    if (is_too_large) messages[1].body.assign(20'000, 'x');
    try {
        queue.send(messages);
        FAIL("expected a MessageRefused");
    } catch (const escqrs::MessageRefused& refusal) {
        CHECK(refusal.message_id() == "bad");
        CHECK_THAT(refusal.what(), Contains("'bad'"));
    }
    messages.pop_back();
    queue.send(messages); // again: the queue drops what it has
    CHECK(place.counts().active == 1);
}
