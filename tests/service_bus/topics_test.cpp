// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// Topics, subscriptions and their rules; several entities over one connection.
#include "emulator_topic.hpp"

#include <escqrs/testing/catch2.hpp>

#include <chrono>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace service_bus;
using namespace service_bus_test;
using Catch::Matchers::Contains;

escqrs::Message make_event(const std::string& id, const std::string& subject, const std::string& colour)
{
    escqrs::Message message = make_message(id);
    message.subject = subject;
    message.correlation_id = "correlation-of-" + id;
    message.properties.add("colour", colour);
    return message;
}

/// The ids of all that a subscription holds, completed.
std::vector<std::string> ids_in(const EmulatorTopic& topic, TopicAdministration& administration,
                                const std::string& name)
{
    MessageQueue subscriber = topic.subscriber(name);
    return work_off(subscriber, administration.counts(name).active);
}

using Ids = std::vector<std::string>;

} // namespace

TEST_CASE("a topic with SQL and correlation filters is created over REST: each subscription takes what it asks for")
{
    const EmulatorTopic topic;
    auto administration = topic.administration();
    CHECK(administration.create_if_missing() == EntityCreation::created);
    CHECK(administration.create_if_missing() == EntityCreation::existed);
    const Rule red{"red", SqlFilter{"colour = 'red' AND sys.Label LIKE 'order%'"}};
    const Rule second{"second", CorrelationFilter{.correlation_id = "correlation-of-2"}};
    const Rule blue{"blue", CorrelationFilter{.subject = "order", .properties = {{"colour", std::string{"blue"}}}}};
    CHECK(administration.create_subscription_if_missing("all", without_sessions({})) == EntityCreation::created);
    CHECK(administration.create_subscription_if_missing("red", without_sessions({red})) == EntityCreation::created);
    CHECK(administration.create_subscription_if_missing("some", without_sessions({blue, second})) ==
          EntityCreation::created);
    CHECK(administration.create_subscription_if_missing("some", without_sessions({blue, second})) ==
          EntityCreation::existed);

    MessageQueue publisher = topic.publisher();
    publisher.send(std::vector{make_event("1", "order", "red"), make_event("2", "invoice", "red"),
                               make_event("3", "order", "blue"), make_event("4", "invoice", "blue")});
    send(publisher, make_event("1", "order", "red")); // a duplicate
    CHECK_FALSE(publisher.health().problem());
    CHECK(ids_in(topic, administration, "all") == Ids{"1", "2", "3", "4"});
    CHECK(ids_in(topic, administration, "red") == Ids{"1"});
    CHECK(ids_in(topic, administration, "some") == Ids{"2", "3"});

    CHECK(administration.remove_rule("some", "blue"));
    CHECK_FALSE(administration.remove_rule("some", "blue"));
    CHECK(administration.add_rule("some", {"all-invoices", SqlFilter{"sys.Label = 'invoice'"}}) ==
          EntityCreation::created);
    publisher.send(std::vector{make_event("5", "order", "blue"), make_event("6", "invoice", "blue")});
    CHECK(ids_in(topic, administration, "some") == Ids{"6"});
    CHECK(administration.remove_subscription("some"));
    CHECK_FALSE(administration.remove_subscription("some"));
}

TEST_CASE(
    "a subscription's dead letter is resubmitted to the topic: each subscription that asks for it gets it once more")
{
    const EmulatorTopic topic;
    auto administration = topic.administration();
    administration.create_if_missing();
    const Rule orders{"orders", CorrelationFilter{.subject = "order"}};
    const Rule invoices{"invoices", CorrelationFilter{.subject = "invoice"}};
    administration.create_subscription_if_missing("first", without_sessions({orders}));
    administration.create_subscription_if_missing("second", without_sessions({}));
    administration.create_subscription_if_missing("third", without_sessions({invoices}));
    MessageQueue publisher = topic.publisher();
    send(publisher, make_event("1", "order", "red"));
    const auto with_dead_letters = [&](const std::string& subscription) {
        QueueSettings settings = EmulatorQueue{topic.name + "/Subscriptions/" + subscription, {}}.settings();
        settings.use = QueueUse::both;
        return MessageQueue{settings};
    };
    MessageQueue first = with_dead_letters("first");
    MessageQueue second = with_dead_letters("second");
    for (MessageQueue* const subscriber : {&first, &second}) { // each counts its messages for itself
        const auto held = receive_all(*subscriber, 1);
        REQUIRE(ids_of(held) == Ids{"1"});
        subscriber->settle(held[0], escqrs::DeadLetter{"why", "because"});
        REQUIRE(subscriber->dead_letters(0, 10).size() == 1);
    }
    CHECK(first.dead_letters(0, 10)[0].sequence_number == second.dead_letters(0, 10)[0].sequence_number);

    CHECK(first.resubmit("1"));
    CHECK_FALSE(first.resubmit("1"));
    CHECK(second.resubmit("1")); // and is no duplicate of the one before
    CHECK(first.dead_letters(0, 10).empty());
    CHECK(work_off(first, 2) == Ids{"1", "1"});
    CHECK(work_off(second, 2) == Ids{"1", "1"});
    CHECK(administration.counts("third").active == 0);
}

TEST_CASE("a topic schedules messages and cancels them, and a subscription refuses both")
{
    const EmulatorTopic topic;
    auto administration = topic.administration();
    administration.create_if_missing();
    administration.create_subscription_if_missing("some", without_sessions({}));
    std::vector<service_bus::Message> messages(2);
    for (auto& message : messages) {
        static_cast<escqrs::Message&>(message) = make_message(&message == messages.data() ? "kept" : "cancelled");
        message.scheduled_enqueue_time = topic.emulator.clock().now() + 5min;
    }
    MessageQueue publisher = topic.publisher();
    REQUIRE(eventually([&] { return publisher.health().authorised; }));
    const auto numbers = publisher.management().schedule(messages);
    REQUIRE(numbers.size() == 2);
    const std::vector second{numbers[1]};
    publisher.management().cancel_scheduled(second);
    CHECK_THROWS_WITH(publisher.management().cancel_scheduled(second), Contains("message-not-found"));
    CHECK(administration.counts("some").active == 0);
    topic.emulator.advance(5min);
    CHECK(ids_in(topic, administration, "some") == Ids{"kept"});

    QueueSettings settings = EmulatorQueue{topic.name + "/Subscriptions/some", {}}.settings();
    settings.use = QueueUse::both;
    MessageQueue subscriber{settings};
    CHECK_THROWS_WITH(subscriber.management().schedule(messages), Contains("expected a topic or a queue"));
    CHECK_THROWS_WITH(subscriber.management().cancel_scheduled(second), Contains("expected a topic or a queue"));
}

TEST_CASE("a subscription that was begun gets the rules that it lacks, and keeps the others")
{
    const EmulatorTopic topic;
    auto administration = topic.administration();
    administration.create_if_missing({.duplicate_detection_window = 0s});
    const Rule one{"one", CorrelationFilter{.subject = "one"}};
    const Rule two{"two", CorrelationFilter{.subject = "two"}};
    administration.create_subscription_if_missing("some", without_sessions({one}));
    CHECK(administration.create_subscription_if_missing("some", without_sessions({one, two})) ==
          EntityCreation::existed);
    MessageQueue publisher = topic.publisher();
    publisher.send(std::vector{make_event("1", "one", ""), make_event("2", "two", ""), make_event("3", "three", "")});
    CHECK(ids_in(topic, administration, "some") == Ids{"1", "2"});
}

TEST_CASE("a missing right to manage is reported, and a malformed expression, or name, is an error that shows it")
{
    const EmulatorTopic topic;
    auto may_send = topic.administration(topic.emulator.connection_string_with(topic.name, R"(["Send"])"));
    CHECK(may_send.create_if_missing() == EntityCreation::not_allowed);
    auto administration = topic.administration();
    CHECK_THROWS_WITH(administration.create_subscription_if_missing("some"), Contains("found 404"));
    administration.create_if_missing();
    CHECK_THROWS_WITH(
        administration.create_subscription_if_missing("some", without_sessions({{"bad", SqlFilter{"colour ="}}})),
        Contains("expected 201 or 409, found 400") && Contains(topic.name + "/Subscriptions/some"));
    CHECK_THROWS_WITH(administration.counts("some"), Contains("there is no queue or subscription"));
    CHECK_THROWS_WITH(administration.create_subscription_if_missing("a/b"), Contains("found 'a/b'"));
    CHECK_THROWS_WITH(administration.remove_rule("some", "a?b"), Contains("rule: expected a name"));
}

TEST_CASE("several entities share one connection, and its loss")
{
    const EmulatorTopic topic;
    auto administration = topic.administration();
    administration.create_if_missing();
    for (const char* name : {"first", "second"})
        administration.create_subscription_if_missing(name, without_sessions({}));
    const EmulatorQueue queue;
    QueueSettings settings = queue.settings();
    const std::vector<EntityUse> entities{{queue.name(), QueueUse::both},
                                          {topic.name, QueueUse::publish},
                                          {administration.address_of("first"), QueueUse::receive},
                                          {administration.address_of("second"), QueueUse::receive}};
    const auto connection = connect(settings.connection, entities);
    MessageQueue orders{connection, entities[0], settings};
    MessageQueue publisher{connection, entities[1], settings};
    MessageQueue first{connection, entities[2], settings};
    MessageQueue second{connection, entities[3], settings};
    CHECK_THROWS_AS((MessageQueue{connection, {"another", QueueUse::both}}), escqrs::TransportError);
    CHECK_THROWS_AS((MessageQueue{connection, {topic.name, QueueUse::both}}), escqrs::TransportError);
    for (const int round : {1, 2}) {
        const std::string id = std::to_string(round);
        send(orders, make_message("order-" + id));
        send(publisher, make_message("news-" + id));
        CHECK(work_off(first, 1) == Ids{"news-" + id});
        CHECK(work_off(second, 1) == Ids{"news-" + id});
        CHECK(work_off(orders, 1) == Ids{"order-" + id});
        CHECK(connection->health().connections == static_cast<std::uint64_t>(round));
        if (round == 1) topic.emulator.fault("drop");
        CHECK(eventually([&] { return connection->health().connections == 2 || round == 2; }));
    }
}
