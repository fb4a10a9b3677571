// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// A broker that takes its time to say that nothing more comes, or never says it.
#include "emulator_queue.hpp"

#include <escqrs/testing/catch2.hpp>

#include <chrono>
#include <future>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace service_bus_test;

boost::json::object never() { return {{"ms", nullptr}}; }

/// What a `receive` with hours of time hands out; nothing if it does not hand out within ten seconds.
std::vector<escqrs::ReceivedMessage> receive_at_once(MessageQueue& queue, std::size_t at_most)
{
    std::stop_source stop;
    auto received = std::async(std::launch::async, [&] { return queue.receive(at_most, 2h, stop.get_token()); });
    const bool came = received.wait_for(10s) == std::future_status::ready;
    stop.request_stop();
    auto messages = received.get();
    if (!came) messages.clear();
    return messages;
}

std::uint64_t stat(const char* name) { return Emulator::shared().stats().at(name).to_number<std::uint64_t>(); }

boost::json::object queue_of(bool sessions) { return {{"requiresSession", sessions}, {"lockDurationMs", 300'000}}; }

/// Receives the first of two messages of a session. The second comes after the hand-out, and waits for the first.
std::vector<escqrs::ReceivedMessage> receive_first_of_two(MessageQueue& queue)
{
    Emulator::shared().fault("drain", never());
    send(queue, make_message("first", "session"));
    const auto first = receive_at_once(queue, 10);
    REQUIRE(ids_of(first) == std::vector<std::string>{"first"});
    send(queue, make_message("second", "session"));
    CHECK(queue.receive(10, 300ms, {}).empty());
    return first;
}

} // namespace

TEST_CASE("a message is handed out, though the drain is never answered", "[faults]")
{
    const bool sessions = GENERATE(false, true);
    const EmulatorQueue place{queue_of(sessions)};
    MessageQueue queue{place.settings()};
    Emulator::shared().fault("drain", never());
    for (int number = 0; number < 5; ++number) {
        const std::string id = "message-" + std::to_string(number);
        send(queue, make_message(id, sessions ? "session" : ""));
        const auto received = receive_at_once(queue, 10);
        REQUIRE(ids_of(received) == std::vector{id});
        CHECK(received[0].delivery_count == 1);
        queue.settle(received[0], escqrs::Complete{});
    }
    CHECK(place.counts().to_be_handled() == 0);
}

TEST_CASE("what comes after a hand-out is for the next receive", "[faults]")
{
    const EmulatorQueue place{queue_of(false)};
    MessageQueue queue{place.settings()};
    Emulator::shared().fault("drain", never());
    send(queue, make_message("first"));
    const auto first = receive_at_once(queue, 10);
    REQUIRE(ids_of(first) == std::vector<std::string>{"first"});
    send(queue, make_message("second"));
    REQUIRE(eventually([&] { return place.counts().locked == 2; })); // it is on its way already
    const auto second = receive_at_once(queue, 10);
    REQUIRE(ids_of(second) == std::vector<std::string>{"second"});
    CHECK(second[0].delivery_count == 1);
    queue.settle(first[0], escqrs::Complete{});
    queue.settle(second[0], escqrs::Complete{});
    CHECK(place.counts().to_be_handled() == 0);
}

TEST_CASE("what comes after a hand-out waits until the earlier ones of its session are settled", "[faults]")
{
    const EmulatorQueue place{queue_of(true)};
    MessageQueue queue{place.settings()};
    const auto first = receive_first_of_two(queue);
    SECTION("completed")
    {
        queue.settle(first[0], escqrs::Complete{});
        const auto second = receive_at_once(queue, 10);
        REQUIRE(ids_of(second) == std::vector<std::string>{"second"});
        CHECK(second[0].delivery_count == 1);
        queue.settle(second[0], escqrs::Complete{});
    }
    SECTION("abandoned: it comes again first")
    {
        queue.settle(first[0], escqrs::Abandon{});
        std::vector<std::string> handled;
        while (handled.size() < 2) {
            const auto batch = receive_at_once(queue, 1);
            REQUIRE(batch.size() == 1);
            handled.push_back(batch[0].message.message_id + "/" + std::to_string(batch[0].delivery_count));
            queue.settle(batch[0], escqrs::Complete{});
        }
        CHECK(handled == std::vector<std::string>{"first/2", "second/1"});
    }
    CHECK(place.counts().to_be_handled() == 0);
}

TEST_CASE("what comes after a hand-out goes back with the one before it, though another thread receives", "[faults]")
{
    const EmulatorQueue place{queue_of(true)};
    MessageQueue queue{place.settings()};
    const auto first = receive_first_of_two(queue);
    std::stop_source stop;
    auto receiving = std::async(std::launch::async, [&] { return queue.receive(1, 2h, stop.get_token()); });
    queue.release(first);
    const bool came = receiving.wait_for(10s) == std::future_status::ready;
    stop.request_stop();
    const auto again = receiving.get();
    REQUIRE(came);
    REQUIRE(ids_of(again) == std::vector<std::string>{"first"});
    CHECK(again[0].delivery_count == 1);
    queue.settle(again[0], escqrs::Complete{});
    const auto second = receive_at_once(queue, 1);
    REQUIRE(ids_of(second) == std::vector<std::string>{"second"});
    CHECK(second[0].delivery_count == 1);
    queue.settle(second[0], escqrs::Complete{});
    CHECK(place.counts().to_be_handled() == 0);
}

TEST_CASE("what comes after a hand-out and is not asked for goes back, uncounted", "[faults]")
{
    const bool sessions = GENERATE(false, true);
    const EmulatorQueue place{queue_of(sessions)};
    QueueSettings settings = place.settings();
    settings.connection.operation_timeout = 1h; // an answer may be on its way while time leaps
    MessageQueue queue{settings};
    Emulator::shared().fault("drain", never());
    send(queue, make_message("first", sessions ? "session" : ""));
    const auto first = receive_at_once(queue, 10);
    REQUIRE(ids_of(first) == std::vector<std::string>{"first"});
    send(queue, make_message("second", sessions ? "session" : ""));
    REQUIRE(eventually([&] { return place.counts().locked == 2; }));
    queue.settle(first[0], escqrs::Complete{});
    CHECK(eventually([&] {
        Emulator::shared().advance(1s);
        return place.counts().active == 1;
    }));
    CHECK(place.counts().locked == 0);
    MessageQueue other{place.settings()};
    const auto second = receive_at_once(other, 10);
    REQUIRE(ids_of(second) == std::vector<std::string>{"second"});
    CHECK(second[0].delivery_count == 1);
}

TEST_CASE("what comes after a hand-out stays here while an earlier one of its session is in hand", "[faults]")
{
    const EmulatorQueue place{{{"requiresSession", true}, {"lockDurationMs", 30'000}}};
    QueueSettings settings = place.settings();
    settings.connection.operation_timeout = 1h; // an answer may be on its way while time leaps
    MessageQueue queue{settings};
    Emulator::shared().fault("drain", never());
    send(queue, make_message("first", "session"));
    const auto first = receive_at_once(queue, 10);
    REQUIRE(ids_of(first) == std::vector<std::string>{"first"});
    send(queue, make_message("second", "session"));
    REQUIRE(eventually([&] { return place.counts().locked == 2; }));
    const auto released = stat("released");
    for (int step = 0; step < 2; ++step) { // with each renewal the receiver has looked at what it keeps
        const auto renewals = stat("renewals");
        Emulator::shared().advance(21s);
        REQUIRE(eventually([&] { return stat("renewals") > renewals; }));
    }
    CHECK(stat("released") == released);
    CHECK(place.counts().locked == 2);
    queue.settle(first[0], escqrs::Complete{});
    CHECK(eventually([&] { return place.counts().active == 1; }));
    MessageQueue other{place.settings()};
    const auto second = receive_at_once(other, 10);
    REQUIRE(ids_of(second) == std::vector<std::string>{"second"});
    CHECK(second[0].delivery_count == 1);
}

TEST_CASE("whenever a drain is answered, nothing is lost, doubled or out of order", "[faults]")
{
    const bool sessions = GENERATE(false, true);
    const auto drain = GENERATE(boost::json::object{{"ms", 3}}, boost::json::object{{"ms", 30}},
                                boost::json::object{{"ms", 500}}, never());
    const EmulatorQueue place{queue_of(sessions)};
    constexpr std::size_t count = 300;
    std::map<std::string, std::vector<std::size_t>> handled;
    std::set<std::string> completed;
    {
        MessageQueue queue{place.settings()};
        MessageQueue sender{place.settings()};
        Emulator::shared().fault("drain", drain);
        std::jthread sending{[&] {
            for (const auto& message : make_messages(count, sessions ? 5 : 0)) send(sender, message);
        }};
        for (std::size_t round = 0; completed.size() < count; ++round) {
            const auto batch = receive_at_once(queue, 1 + round * 7 % 40);
            REQUIRE_FALSE(batch.empty());
            for (const auto& message : batch) {
                CHECK(message.delivery_count == 1);
                CHECK(completed.insert(message.message.message_id).second);
                const std::string& id = message.message.message_id;
                handled[message.message.session_id].push_back(std::stoul(id.substr(id.find('-') + 1)));
                queue.settle(message, escqrs::Complete{});
            }
        }
    }
    if (sessions) {
        for (const auto& [session, numbers] : handled) CHECK(std::ranges::is_sorted(numbers));
    }
    CHECK(place.counts().to_be_handled() == 0);
}

TEST_CASE("a receiver to which nothing comes attaches no further links, though drains are never answered", "[faults]")
{
    const EmulatorQueue place{queue_of(false)};
    QueueSettings settings = place.settings();
    settings.connection.operation_timeout = 1h;
    settings.use = service_bus::QueueUse::receive;
    MessageQueue queue{settings};
    REQUIRE(eventually([&] { return queue.health().authorised; }));
    Emulator::shared().fault("drain", never());
    CHECK(queue.receive(1, 200ms, {}).empty());
    const auto attaches = Emulator::shared().stats().at("attaches").to_number<int>();
    for (int round = 0; round < 3; ++round) CHECK(queue.receive(1, 200ms, {}).empty());
    CHECK(Emulator::shared().stats().at("attaches").to_number<int>() == attaches);
    CHECK_FALSE(queue.health().problem());
    Emulator::shared().advance(61min); // so long without a word: another link may do better
    CHECK(queue.receive(1, 200ms, {}).empty());
    CHECK(Emulator::shared().stats().at("attaches").to_number<int>() > attaches);
}
