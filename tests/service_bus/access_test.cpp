// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// Who may do what, entities that are not there, and those that are made.
#include "emulator_queue.hpp"
#include "support/error_of.hpp"

#include <escqrs/testing/catch2.hpp>

#include <service_bus/queue_administration.hpp>

#include <chrono>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace service_bus;
using namespace service_bus_test;
using Catch::Matchers::Contains;

} // namespace

TEST_CASE("the least rights are enough: Send for the sender, Listen for the receiver")
{
    const EmulatorQueue place{{{"requiresSession", true}}};
    auto& emulator = Emulator::shared();
    QueueSettings sends = place.settings();
    sends.use = QueueUse::send;
    sends.sender.timeout = 2s;
    sends.connection.broker = parse_broker(emulator.connection_string_with(place.name(), R"(["Send"])"));
    QueueSettings receives = place.settings();
    receives.use = QueueUse::receive;
    receives.connection.broker = parse_broker(emulator.connection_string_with(place.name(), R"(["Listen"])"));
    {
        MessageQueue sender{sends};
        MessageQueue receiver{receives};
        send(sender, make_message("m", "s"));
        const auto received = receive_all(receiver, 1);
        REQUIRE(received.size() == 1);
        receiver.settle(received[0], escqrs::Complete{});
        CHECK_FALSE(sender.health().problem());
        CHECK_FALSE(receiver.health().problem());
    }
    std::swap(sends.connection.broker, receives.connection.broker);
    MessageQueue may_not_send{sends};
    MessageQueue may_not_receive{receives};
    CHECK_THAT(error_of([&] { send(may_not_send, make_message("m", "s")); }),
               Contains("amqp:unauthorized-access") && Contains("'Send'"));
    CHECK_THAT(error_of([&] { (void)may_not_receive.receive(1, 2s, {}); }),
               Contains("amqp:unauthorized-access") && Contains("'Listen'"));
    REQUIRE(may_not_send.health().problem());
    CHECK_THAT(*may_not_send.health().problem(), Contains("not attached") && Contains("'Send'"));
}

TEST_CASE("a wrong key is reported without showing it, and does not keep a right one from working later")
{
    const EmulatorQueue place;
    const std::string name = Emulator::shared().new_name();
    QueueSettings settings = place.settings();
    settings.sender.timeout = 1s;
    auto text = Emulator::shared().connection_string(place.name());
    settings.connection.broker = parse_broker(text);
    settings.connection.broker.credentials = SharedAccessKey{name, "the-key-of-tomorrow"};
    MessageQueue queue{settings};
    const std::string error = error_of([&] { send(queue, make_message("m")); });
    CHECK_THAT(error, Contains("InvalidSignature"));
    CHECK_THAT(error, !Contains("the-key-of-tomorrow"));
    CHECK_THAT(*queue.health().problem(), Contains("InvalidSignature"));
    Emulator::shared().control("PUT", "/rules/" + name,
                               {{"key", "the-key-of-tomorrow"}, {"rights", {"Send", "Listen"}}});
    CHECK(eventually([&] { return queue.health().authorised; }));
    CHECK_NOTHROW(send(queue, make_message("m")));
}

TEST_CASE("a queue that is missing is named, and once it is there, it is used")
{
    const std::string name = Emulator::shared().new_name();
    const EmulatorQueue place{name, {}};
    QueueSettings settings = place.settings();
    settings.sender.timeout = 2s;
    MessageQueue queue{settings};
    CHECK_THAT(error_of([&] { send(queue, make_message("m")); }), Contains("amqp:not-found") && Contains(name));
    CHECK_THAT(error_of([&] { (void)queue.receive(1, 2s, {}); }), Contains("amqp:not-found") && Contains(name));
    CHECK(queue.health().problem());
    Emulator::shared().control("PUT", "/queues/" + name, {{"requiresSession", false}});
    CHECK(eventually([&] { return error_of([&] { send(queue, make_message("m")); }).empty(); }));
    CHECK(receive_all(queue, 1).size() == 1);
    CHECK_FALSE(queue.health().problem());
}

TEST_CASE("a queue is created over REST as the program needs it, once, and only by who may manage")
{
    auto& emulator = Emulator::shared();
    const std::string name = emulator.new_name();
    const auto administration = [&](const std::string& connection_string) {
        Broker broker = parse_broker(connection_string);
        broker.host = "localhost";
        return QueueAdministration{broker, emulator.rest_endpoint(), emulator.certificate(), emulator.clock()};
    };
    auto may_send = administration(emulator.connection_string_with(name, R"(["Send"])"));
    CHECK(may_send.create_if_missing({}) == EntityCreation::not_allowed);
    auto may_manage = administration(emulator.connection_string(name));
    CHECK(may_manage.create_if_missing({}) == EntityCreation::created);
    CHECK(may_manage.create_if_missing({}) == EntityCreation::existed);

    const EmulatorQueue place{name, {{"requiresSession", true}}};
    MessageQueue queue{place.settings()};
    send(queue, make_message("m", "s"));
    send(queue, make_message("m", "s"));
    CHECK(may_manage.counts().active == 1);      // duplicates are detected
    const auto received = receive_all(queue, 1); // and sessions required
    REQUIRE(received.size() == 1);
    CHECK(received[0].message.session_id == "s");
    queue.settle(received[0], escqrs::DeadLetter{"why", "because"});
    CHECK(may_manage.counts() == escqrs::MessageQueueCounts{.dead_lettered = 1});
}

TEST_CASE("a topic: each subscription has its own copy, with the same adapter")
{
    auto& emulator = Emulator::shared();
    const std::string topic = emulator.new_name();
    emulator.control("PUT", "/topics/" + topic, boost::json::object{});
    for (const char* name : {"all", "ordered"}) {
        emulator.control("PUT", "/topics/" + topic + "/subscriptions/" + name,
                         {{"requiresSession", std::string{name} == "ordered"}});
    }
    QueueSettings sends = EmulatorQueue{topic, {{"requiresSession", true}}}.settings();
    sends.use = QueueUse::send;
    MessageQueue sender{sends};
    sender.send(make_messages(20, 2));
    for (const bool ordered : {false, true}) {
        const std::string entity = topic + "/Subscriptions/" + (ordered ? "ordered" : "all");
        QueueSettings settings = EmulatorQueue{entity, {{"requiresSession", ordered}}}.settings();
        settings.use = QueueUse::receive;
        MessageQueue subscription{settings};
        CHECK(work_off(subscription, 20).size() == 20);
        CHECK(subscription.receive(1, 200ms, {}).empty());
    }
}
