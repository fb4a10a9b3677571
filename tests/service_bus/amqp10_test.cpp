// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// Plain AMQP 1.0 with RabbitMQ: a real broker, durable, that knows nothing of Service Bus.
#include "rabbitmq_process.hpp"

#include <escqrs/testing/catch2.hpp>

#include <service_bus/message_queue.hpp>

#include <algorithm>
#include <chrono>
#include <future>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;
using service_bus::MessageQueue;
using service_bus::QueueSettings;
using service_bus_test::RabbitMq;

QueueSettings settings_for(const std::string& queue, const RabbitMq& broker = RabbitMq::shared())
{
    QueueSettings settings;
    settings.connection.broker = service_bus::parse_broker(broker.address(queue));
    settings.connection.reconnect_delay = 100ms;
    settings.connection.longest_reconnect_delay = 1s;
    settings.sender.timeout = 60s;
    return settings;
}

escqrs::Message make_message(const std::string& id, const std::string& session = {})
{
    escqrs::Message message;
    message.message_id = id;
    message.session_id = session;
    message.body = "body of " + id;
    return message;
}

std::vector<escqrs::ReceivedMessage> receive_all(MessageQueue& queue, std::size_t count)
{
    std::vector<escqrs::ReceivedMessage> all;
    while (all.size() < count) {
        auto batch = queue.receive(count - all.size(), 10s, {});
        if (batch.empty()) break;
        std::ranges::move(batch, std::back_inserter(all));
    }
    return all;
}

} // namespace

TEST_CASE("plain AMQP 1.0: a message arrives as it was sent, and is gone once completed")
{
    const std::string name = RabbitMq::shared().create_queue();
    {
        MessageQueue queue{settings_for(name)};
        escqrs::Message sent = make_message("id-1", "session-1");
        sent.body = std::string{"\0\xFF body", 7};
        sent.subject = "AttendeeRegistered";
        sent.correlation_id = "correlation";
        sent.content_type = "application/json";
        sent.properties = {{"a", "\xC3\xBC"}, {"empty", ""}, {"z", "last"}}; // RabbitMQ sorts them
        queue.send(std::span{&sent, 1});
        const auto received = receive_all(queue, 1);
        REQUIRE(received.size() == 1);
        CHECK(received[0].message == sent);
        CHECK(received[0].delivery_count == 1);
        queue.settle(received[0], escqrs::Complete{});
        CHECK_THROWS_AS(queue.settle(received[0], escqrs::Complete{}), escqrs::MessageLockLost);
        CHECK(queue.receive(1, 300ms, {}).empty());
        CHECK_FALSE(queue.health().problem());
    }
    MessageQueue again{settings_for(name)};
    CHECK(again.receive(1, 500ms, {}).empty());
}

TEST_CASE("plain AMQP 1.0: abandoned and forsaken messages come again, rejected ones are dead-lettered")
{
    const std::string name = RabbitMq::shared().create_queue();
    {
        MessageQueue queue{settings_for(name)};
        const std::vector<escqrs::Message> sent{make_message("1"), make_message("2"), make_message("3")};
        queue.send(sent);
        const auto first = receive_all(queue, 3);
        REQUIRE(first.size() == 3);
        queue.settle(first[0], escqrs::Abandon{{{"reason", "is not kept"}}});
        const auto again = receive_all(queue, 1);
        REQUIRE(again.size() == 1);
        CHECK(again[0].message == sent[0]);
        CHECK(again[0].delivery_count == 2);
        queue.settle(first[1], escqrs::DeadLetter{"bad", "very"});
        CHECK_THROWS_AS(queue.dead_letters(0, 10), escqrs::TransportError);
    }
    // "1" and "3" were held when their holder went away.
    MessageQueue next{settings_for(name)};
    std::set<std::string> ids;
    for (const auto& message : receive_all(next, 2)) ids.insert(message.message.message_id);
    CHECK(ids == std::set<std::string>{"1", "3"});
    MessageQueue dead{settings_for(name + "-dead")};
    const auto dead_lettered = receive_all(dead, 1);
    REQUIRE(dead_lettered.size() == 1);
    CHECK(dead_lettered[0].message.message_id == "2");
}

TEST_CASE("plain AMQP 1.0: what the dialect has no word for is refused before anything is sent")
{
    const std::string name = RabbitMq::shared().create_queue();
    MessageQueue queue{settings_for(name)};
    std::vector<escqrs::Message> messages{make_message("good"), make_message("scheduled")};
    messages[1].scheduled_enqueue_time = escqrs::system_clock().now() + 1h;
    CHECK_THROWS_WITH(queue.send(messages), Catch::Matchers::Contains("scheduled enqueue time"));
    CHECK(queue.receive(1, 500ms, {}).empty());
}

TEST_CASE("plain AMQP 1.0: a wrong password and a malformed address are reported")
{
    QueueSettings settings = settings_for(RabbitMq::shared().create_queue());
    settings.connection.broker.credentials = service_bus::UserPassword{"guest", "not-the-password"};
    settings.sender.timeout = 2s;
    MessageQueue stranger{settings};
    const auto message = make_message("1");
    CHECK_THROWS_AS(stranger.send(std::span{&message, 1}), escqrs::TransportError);
    // RabbitMQ takes its time to say so.
    for (int attempt = 0; attempt < 200 && stranger.health().last_error.empty(); ++attempt)
        std::this_thread::sleep_for(100ms);
    REQUIRE(stranger.health().problem());
    CHECK_THAT(*stranger.health().problem(), Catch::Matchers::Contains("uthentication"));
    CHECK_THAT(*stranger.health().problem(), !Catch::Matchers::Contains("not-the-password"));
}

TEST_CASE("plain AMQP 1.0: nothing is lost while the broker is restarted and killed")
{
    RabbitMq broker;
    const std::string name = broker.create_queue();
    constexpr std::size_t count = 20'000;
    std::set<std::string> seen;
    {
        MessageQueue sender{settings_for(name, broker)};
        MessageQueue receiver{settings_for(name, broker)};
        auto sending = std::async(std::launch::async, [&] {
            for (std::size_t at = 0; at < count;) {
                std::vector<escqrs::Message> batch;
                for (; at < count && batch.size() < 100; ++at)
                    batch.push_back(make_message(std::to_string(at), "session-" + std::to_string(at % 50)));
                sender.send(batch);
            }
        });
        auto breaking = std::async(std::launch::async, [&] {
            std::this_thread::sleep_for(500ms);
            broker.restart(false);
            std::this_thread::sleep_for(300ms);
            broker.restart(true);
        });
        const auto deadline = std::chrono::steady_clock::now() + 180s;
        while (seen.size() < count && std::chrono::steady_clock::now() < deadline) {
            try {
                const auto batch = receiver.receive(200, 1s, {});
                std::vector<escqrs::Settlement> settlements;
                for (const auto& message : batch) {
                    seen.insert(message.message.message_id); // handled; settled only then
                    settlements.push_back({message, escqrs::Complete{}});
                }
                (void)receiver.settle(settlements);
            } catch (const escqrs::TransportError&) {
                continue; // while the broker is away
            }
        }
        breaking.get();
        sending.get();
    }
    CHECK(seen.size() == count);
}
