// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// What is received and not settled goes back, and what cannot be read is dead-lettered.
#include "emulator_queue.hpp"

#include <escqrs/testing/catch2.hpp>

#include <chrono>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace service_bus_test;

boost::json::object with_lock_of(std::chrono::milliseconds duration, bool sessions)
{
    return {{"requiresSession", sessions}, {"lockDurationMs", duration.count()}};
}

std::uint64_t count(const char* what) { return Emulator::shared().stats().at(what).to_number<std::uint64_t>(); }

} // namespace

TEST_CASE("a receive that is stopped at any moment leaves nothing locked", "[faults]")
{
    const bool sessions = GENERATE(false, true);
    const EmulatorQueue place{{{"requiresSession", sessions}, {"lockDurationMs", 300'000}, {"maxDeliveryCount", 2}}};
    constexpr std::size_t count = 300;
    std::set<std::string> completed;
    {
        MessageQueue queue{place.settings()};
        MessageQueue sender{place.settings()};
        std::jthread sending{[&] {
            for (const auto& message : make_messages(count, sessions ? 7 : 0)) send(sender, message);
        }};
        for (int round = 0; completed.size() < count && round < 3000; ++round) {
            std::stop_source stop;
            std::jthread stopping{[&] {
                std::this_thread::sleep_for(std::chrono::microseconds{(round * 37) % 4000});
                stop.request_stop();
            }};
            const auto batch = queue.receive(20, 5s, stop.get_token());
            for (const auto& message : batch) {
                queue.settle(message, escqrs::Complete{});
                completed.insert(message.message.message_id);
            }
        }
    }
    CHECK(completed.size() == count);
    const auto counts = place.counts();
    CHECK(counts.locked == 0);
    CHECK(counts.active == 0);
    CHECK(counts.dead_lettered == 0); // what was given back did not count as a delivery
}

TEST_CASE("prefetched messages are there at once, in order, under lock, and go back uncounted", "[faults]")
{
    const EmulatorQueue place{with_lock_of(1min, false)};
    QueueSettings settings = place.settings();
    settings.receiver.prefetch = 5;
    {
        MessageQueue queue{settings};
        queue.send(make_messages(20, 0));
        const auto first = receive_all(queue, 2);
        REQUIRE(ids_of(first) == std::vector<std::string>{"message-0", "message-1"});
        CHECK(eventually([&] { return place.counts().locked == 7; }));
        Emulator::shared().fault("slow", {{"ms", 60'000}});
        const auto second = queue.receive(5, 0s, {}); // without a word from the broker
        Emulator::shared().fault("slow", {{"ms", 0}});
        CHECK(ids_of(second) ==
              std::vector<std::string>{"message-2", "message-3", "message-4", "message-5", "message-6"});
        for (const auto& message : second) queue.settle(message, escqrs::Complete{});
        for (const auto& message : first) queue.settle(message, escqrs::Complete{});
        const auto rest = receive_all(queue, 3);
        CHECK(rest.size() == 3);
    }
    CHECK(eventually([&] { return place.counts().active == 13; }));
    MessageQueue next{place.settings()};
    for (const auto& message : receive_all(next, 13)) CHECK(message.delivery_count == 1);
}

TEST_CASE("prefetched messages whose connection is lost come again, none is lost, and none completed twice", "[faults]")
{
    const EmulatorQueue place{{{"requiresSession", false}, {"lockDurationMs", 30'000}, {"maxDeliveryCount", 1000}}};
    QueueSettings settings = place.settings();
    settings.receiver.prefetch = 20;
    MessageQueue queue{settings};
    queue.send(make_messages(1000, 0));
    const auto drops = count("drops");
    std::jthread breaking{[](std::stop_token stop) {
        while (!stop.stop_requested()) {
            std::this_thread::sleep_for(30ms);
            Emulator::shared().fault("drop");
            Emulator::shared().advance(31s);
        }
    }};
    std::set<std::string> handled;
    std::multiset<std::string> completed;
    const auto is_empty = [&] { return place.counts().to_be_handled() == 0; };
    for (int round = 0; round < 3000 && !(handled.size() == 1000 && is_empty()); ++round) {
        try {
            for (const auto& message : queue.receive(10, 100ms, {})) {
                handled.insert(message.message.message_id);
                queue.settle(message, escqrs::Complete{});
                completed.insert(message.message.message_id);
            }
        } catch (const escqrs::TransportError&) {
            continue; // perhaps it was completed, perhaps not: then it comes again
        }
    }
    CHECK(count("drops") >= drops + 3);
    CHECK(handled.size() == 1000);
    for (const auto& id : completed) CHECK(completed.count(id) == 1);
    CHECK(is_empty());
}

TEST_CASE("a receive that is not to wait still gets what is there", "[faults]")
{
    const bool sessions = GENERATE(false, true);
    const EmulatorQueue place{with_lock_of(1min, sessions)};
    MessageQueue queue{place.settings()};
    send(queue, make_message("there", sessions ? "session" : ""));
    const auto received = queue.receive(10, 0s, {});
    REQUIRE(ids_of(received) == std::vector<std::string>{"there"});
    queue.settle(received[0], escqrs::Complete{});
    CHECK(queue.receive(10, 0s, {}).empty());
}

TEST_CASE("a process that ends gives back what it holds", "[faults]")
{
    const EmulatorQueue place{with_lock_of(5min, false)};
    {
        MessageQueue queue{place.settings()};
        queue.send(make_messages(10, 0));
        CHECK(receive_all(queue, 10).size() == 10);
        CHECK(place.counts().locked == 10);
    }
    CHECK(eventually([&] { return place.counts().active == 10; }));
    MessageQueue next{place.settings()};
    const auto again = receive_all(next, 10);
    REQUIRE(again.size() == 10);
    for (const auto& message : again) CHECK(message.delivery_count == 1);
}

TEST_CASE("a receiver may end while its connection continues", "[faults]")
{
    using namespace service_bus;
    const EmulatorQueue place;
    AmqpConnectionOptions options = place.settings().connection;
    options.audiences = {place.name()};
    AmqpConnection connection{options};
    REQUIRE(eventually([&] { return connection.health().authorised; }));
    {
        ReceiverOptions plain;
        plain.sessions = false;
        MessageReceiver receiver{connection, place.name(), plain};
        CHECK(receiver.receive(10, 300ms, {}).empty());
    }
    std::this_thread::sleep_for(1500ms); // what the receiver had put off would be due
    CHECK(connection.health().authorised);
}

TEST_CASE("bytes that are no message are dead-lettered, and those after them are handled", "[faults]")
{
    const bool sessions = GENERATE(false, true);
    const EmulatorQueue place{with_lock_of(1min, sessions)};
    MessageQueue queue{place.settings()};
    const std::vector<std::string> hostile{
        "",                 // no body
        "AFN1oAVoZWxs",     // a Data section shorter than it says
        "AFN3gQAAAAAAAAAB", // an AMQP value that is a number
        "AFN20AAAAAQAAAAB", // a sequence cut off
        "/////////////w==", // nothing at all
        "AFN1sP////8=",     // four gigabytes, says its length
        "AFNzwP//",         // properties without end
    };
    for (std::size_t at = 0; at < hostile.size(); ++at) {
        Emulator::shared().control(
            "POST", "/queues/" + place.name() + "/messages",
            {{"messageId", "hostile-" + std::to_string(at)}, {"sessionId", "session"}, {"base64", hostile[at]}});
    }
    send(queue, make_message("good", sessions ? "session" : ""));
    std::vector<std::string> handled;
    while (true) {
        const auto batch = queue.receive(20, 5s, {});
        REQUIRE_FALSE(batch.empty());
        for (const auto& message : batch) {
            handled.push_back(message.message.message_id);
            queue.settle(message, escqrs::Complete{});
        }
        if (handled.back() == "good") break;
    }
    const auto counts = place.counts();
    CHECK(counts.active + counts.locked == 0);
    CHECK(counts.dead_lettered + handled.size() == hostile.size() + 1);
    CHECK(counts.dead_lettered >= 5);
    CHECK_FALSE(queue.health().problem());
}
