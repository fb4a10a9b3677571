// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// The adapter at one end of the queue, Microsoft's own SDK at the other.
#include "emulator_topic.hpp"

#include <escqrs/testing/catch2.hpp>

#include <boost/json/parse.hpp>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace service_bus_test;
namespace json = boost::json;

/// One whose clock stays within the life of the SDK's tokens, which go by the real time.
Emulator& own_emulator()
{
    static Emulator emulator;
    return emulator;
}

/// Microsoft's SDK in a process of its own.
ChildProcess start_peer(const Emulator& emulator, const std::string& connection_string, const std::string& entity,
                        const std::string& command, std::size_t count, const std::vector<std::string>& flags)
{
    std::vector<std::string> arguments{"env",
                                       "NODE_EXTRA_CA_CERTS=" + emulator.certificate(),
                                       "node",
                                       ESCQRS_PEER,
                                       command,
                                       "--connection-string",
                                       connection_string,
                                       "--queue",
                                       entity,
                                       "--count",
                                       std::to_string(count)};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    return ChildProcess{arguments};
}

ChildProcess start_peer(const EmulatorQueue& place, const std::string& command, std::size_t count,
                        const std::vector<std::string>& flags)
{
    return start_peer(place.emulator(), place.emulator().connection_string(place.name()), place.name(), command, count,
                      flags);
}

/// The messages it tells of, until its end.
std::vector<json::value> told_by(ChildProcess& peer)
{
    std::vector<json::value> messages;
    for (std::string line = peer.read_line(); !line.empty(); line = peer.read_line())
        messages.push_back(json::parse(line));
    CHECK(peer.wait() == 0);
    return messages;
}

std::string text(const json::value& message, const char* field) { return std::string{message.at(field).as_string()}; }

} // namespace

TEST_CASE("what we send, Microsoft's SDK receives: every field, in order")
{
    const bool sessions = GENERATE(false, true);
    const EmulatorQueue place{{{"requiresSession", sessions}}, own_emulator()};
    std::vector<escqrs::Message> sent = make_messages(300, sessions ? 6 : 0);
    for (auto& message : sent) {
        message.subject = "AttendeeRegistered";
        message.correlation_id = "because of " + message.message_id;
        message.properties = {{"cloudEvents:specversion", "1.0"},
                              {"cloudEvents:source", "/gr\xC3\xBC\xC3\x9F"
                                                     "e"}};
    }
    MessageQueue queue{place.settings()};
    queue.send(sent);
    auto peer = start_peer(place, "receive", sent.size(),
                           sessions ? std::vector<std::string>{"--sessions"} : std::vector<std::string>{});
    const auto received = told_by(peer);
    REQUIRE(received.size() == sent.size());
    std::map<std::string, std::vector<std::string>> by_session;
    std::map<std::string, escqrs::Message> originals;
    std::map<std::string, std::vector<std::string>> expected;
    for (const auto& message : sent) {
        originals[message.message_id] = message;
        expected[message.session_id].push_back(message.message_id);
    }
    for (const auto& message : received) {
        const std::string id = text(message, "messageId");
        REQUIRE(originals.contains(id));
        const escqrs::Message& original = originals[id];
        CHECK(text(message, "body") == original.body);
        CHECK(text(message, "subject") == original.subject);
        CHECK(text(message, "correlationId") == original.correlation_id);
        CHECK(text(message, "contentType") == original.content_type);
        for (const auto& [name, value] : original.properties)
            CHECK(text(message.at("applicationProperties"), std::string{name}.c_str()) == value);
        by_session[sessions ? text(message, "sessionId") : ""].push_back(id);
    }
    CHECK(by_session == expected);
    CHECK(place.counts().to_be_handled() == 0);
}

TEST_CASE("what Microsoft's SDK sends, singly or in batches, we receive: every field, in order")
{
    const bool sessions = GENERATE(false, true);
    const bool batches = GENERATE(false, true);
    constexpr std::size_t count = 300;
    const EmulatorQueue place{{{"requiresSession", sessions}}, own_emulator()};
    std::vector<std::string> flags{"--properties"};
    if (sessions) flags.insert(flags.end(), {"--sessions", "6"});
    if (batches) flags.emplace_back("--batch");
    auto peer = start_peer(place, "send", count, flags);
    CHECK(told_by(peer).size() == count);
    MessageQueue queue{place.settings()};
    std::map<std::string, std::size_t> last;
    for (std::size_t done = 0; done < count;) {
        const auto batch = queue.receive(50, 10s, {});
        REQUIRE_FALSE(batch.empty());
        done += batch.size();
        for (const auto& received : batch) {
            const auto& message = received.message;
            const std::size_t number = std::stoul(message.message_id.substr(message.message_id.find('-') + 1));
            CHECK(message.body == R"({"number":)" + std::to_string(number) + "}");
            CHECK(message.session_id == (sessions ? "session-" + std::to_string(number % 6) : ""));
            CHECK(message.subject == "Subject");
            CHECK(message.correlation_id == "correlation-" + std::to_string(number));
            CHECK(message.content_type == "application/json");
            const std::map<std::string, std::string> properties(message.properties.begin(), message.properties.end());
            CHECK(properties.at("text") == "gr\xC3\xBC\xC3\x9F");
            CHECK(properties.at("integer") == std::to_string(number));
            CHECK(properties.at("truth") == "true");
            CHECK((!last.contains(message.session_id) || last[message.session_id] < number));
            last[message.session_id] = number;
            queue.settle(received, escqrs::Complete{});
        }
    }
    CHECK(place.counts().to_be_handled() == 0);
}

TEST_CASE("reply-to, time to live, partition key and typed properties: Microsoft's SDK reads ours, and we read its")
{
    const EmulatorQueue place{{{"requiresSession", false}}, own_emulator()};
    MessageQueue queue{place.settings()};
    service_bus::Message message;
    static_cast<escqrs::Message&>(message) = make_message("ours");
    message.to = "destination";
    message.reply_to = "answers";
    message.reply_to_session_id = "answer-session";
    message.partition_key = "key";
    message.time_to_live = 1h;
    message.typed_properties = {{"integer", std::int64_t{7}}, {"real", 0.5}, {"truth", true}};
    queue.send_detailed(std::span{&message, 1});
    auto receiver = start_peer(place, "receive", 1, {});
    const auto received = told_by(receiver);
    REQUIRE(received.size() == 1);
    CHECK(text(received[0], "to") == "destination");
    CHECK(text(received[0], "replyTo") == "answers");
    CHECK(text(received[0], "replyToSessionId") == "answer-session");
    CHECK(text(received[0], "partitionKey") == "key");
    CHECK(received[0].at("timeToLive").to_number<int>() == 3'600'000);
    const auto& properties = received[0].at("applicationProperties");
    CHECK(properties.at("integer").to_number<int>() == 7);
    CHECK(properties.at("real").to_number<double>() == 0.5);
    CHECK(properties.at("truth").as_bool());

    auto sender = start_peer(place, "send", 2, {"--properties"});
    CHECK(told_by(sender).size() == 2);
    const auto peeked = queue.management().peek(0, 10);
    REQUIRE(peeked.size() == 2);
    const service_bus::Message& theirs = peeked[1].message;
    CHECK(theirs.message_id == "peer-1");
    CHECK(theirs.to == "destination");
    CHECK(theirs.reply_to == "answers");
    CHECK(theirs.reply_to_session_id == "answer-session");
    CHECK(theirs.time_to_live == escqrs::Duration{1h});
    CHECK(theirs.properties == escqrs::MessageProperties{{"text", "gr\xC3\xBC\xC3\x9F"}});
    const std::map<std::string, service_bus::PropertyValue> typed(theirs.typed_properties.begin(),
                                                                  theirs.typed_properties.end());
    CHECK(typed == std::map<std::string, service_bus::PropertyValue>{
                       {"integer", std::int64_t{1}}, {"real", 0.5}, {"truth", true}});
    CHECK(queue.management().peek(peeked[1].sequence_number, 10).empty());
    CHECK(place.counts().active == 2); // none is locked

    const auto detailed = queue.receive_detailed(1, 10s, {});
    REQUIRE(detailed.size() == 1);
    const service_bus::Message first = to_message(detailed.front());
    CHECK(static_cast<const escqrs::Message&>(first) == peeked[0].message);
    CHECK(static_cast<const service_bus::MessageDetails&>(first) == peeked[0].message);
    CHECK(detailed.front().time_to_live == escqrs::Duration{1h});
    CHECK(detailed.front().message.properties.find("integer") == "0");
    CHECK(detailed.front().sequence_number == peeked[0].sequence_number);
    CHECK(detailed.front().enqueued_at == peeked[0].enqueued_at);
    CHECK(detailed.front().delivery_count == 1);
}

TEST_CASE("Microsoft's SDK receives at its time what we have scheduled, and never what we have cancelled")
{
    const EmulatorQueue place{{{"requiresSession", false}}, own_emulator()};
    QueueSettings settings = place.settings();
    settings.use = service_bus::QueueUse::send;
    MessageQueue queue{settings};
    std::vector<service_bus::Message> messages(2);
    for (auto& message : messages) {
        static_cast<escqrs::Message&>(message) = make_message(&message == messages.data() ? "kept" : "cancelled");
        message.scheduled_enqueue_time = place.emulator().clock().now() + 5min;
    }
    REQUIRE(eventually([&] { return queue.health().authorised; })); // what it asks for does not wait for that
    const auto numbers = queue.management().schedule(messages);
    REQUIRE(numbers.size() == 2);
    CHECK(place.counts().scheduled == 2);
    const std::vector second{numbers[1]};
    queue.management().cancel_scheduled(second);
    CHECK(place.counts().scheduled == 1);
    CHECK_THROWS_WITH(queue.management().cancel_scheduled(second), Catch::Contains("message-not-found"));
    place.emulator().advance(5min);
    auto peer = start_peer(place, "receive", 1, {});
    const auto received = told_by(peer);
    REQUIRE(received.size() == 1);
    CHECK(text(received[0], "messageId") == "kept");
    CHECK(text(received[0], "sequenceNumber") != "");
    messages[0].scheduled_enqueue_time.reset();
    CHECK_THROWS_AS(queue.management().schedule(messages), escqrs::MessageRefused);
}

TEST_CASE("why we dead-lettered a message, and what we added on abandoning it, Microsoft's SDK can read")
{
    const EmulatorQueue place{{{"requiresSession", false}}, own_emulator()};
    MessageQueue queue{place.settings()};
    send(queue, make_message("bad"));
    auto held = receive_all(queue, 1);
    REQUIRE(held.size() == 1);
    queue.settle(held[0], escqrs::Abandon{{{"lastError", "not yet"}}});
    held = receive_all(queue, 1);
    REQUIRE(held.size() == 1);
    queue.settle(held[0], escqrs::DeadLetter{"UnknownEvent", "nobody knows it"});
    auto peer = start_peer(place, "receive", 1, {"--dead-letter"});
    const auto dead = told_by(peer);
    REQUIRE(dead.size() == 1);
    CHECK(text(dead[0], "messageId") == "bad");
    CHECK(text(dead[0], "deadLetterReason") == "UnknownEvent");
    CHECK(text(dead[0], "deadLetterErrorDescription") == "nobody knows it");
    CHECK(text(dead[0].at("applicationProperties"), "lastError") == "not yet");
}

TEST_CASE("a consumer of ours that is killed with messages in hand: Microsoft's SDK gets them when the locks are over")
{
    constexpr std::size_t count = 20;
    const bool sessions = GENERATE(false, true);
    const EmulatorQueue place{{{"requiresSession", sessions}, {"lockDurationMs", 60'000}}, own_emulator()};
    MessageQueue queue{place.settings()};
    queue.send(make_messages(count, sessions ? count : 0)); // of a session that is held, no more is handed out
    ChildProcess consumer{{ESCQRS_HOLD_MESSAGES, place.emulator().connection_string(place.name()),
                           sessions ? "yes" : "no", std::to_string(count)}};
    std::set<std::string> ids;
    for (std::string line = consumer.read_line(); line != "holding"; line = consumer.read_line()) {
        REQUIRE_FALSE(line.empty());
        ids.insert(line);
    }
    REQUIRE(ids.size() == count);
    CHECK(place.counts().locked == count);
    consumer.kill(SIGKILL);
    CHECK(consumer.wait() == -SIGKILL);
    if (!sessions) { // those of a session are free with its connection
        CHECK(place.counts().locked == count);
        place.emulator().advance(1min);
    }
    CHECK(eventually([&] { return place.counts().active == count; }));
    auto peer = start_peer(place, "receive", count,
                           sessions ? std::vector<std::string>{"--sessions"} : std::vector<std::string>{});
    std::set<std::string> received;
    for (const auto& message : told_by(peer)) {
        received.insert(text(message, "messageId"));
        CHECK(message.at("deliveryCount").to_number<int>() == (sessions ? 0 : 1));
    }
    CHECK(received == ids);
}

TEST_CASE("a session that Microsoft's SDK holds cannot be accepted by its id until the SDK lets it go")
{
    const EmulatorQueue place{{{"requiresSession", true}}, own_emulator()};
    QueueSettings settings = place.settings();
    settings.receiver.session_id = "s";
    MessageQueue queue{settings};
    send(queue, make_message("m", "s"));
    auto peer = start_peer(place, "receive", 1, {"--sessions", "--hold"});
    REQUIRE_FALSE(peer.read_line().empty());
    CHECK_THROWS_WITH(queue.receive(1, 10s, {}), Catch::Matchers::Contains("session-cannot-be-locked"));
    peer.kill(SIGKILL);
    CHECK(peer.wait() == -SIGKILL);
    CHECK(work_off(queue, 1) == std::vector<std::string>{"m"});
}

TEST_CASE("a consumer on Microsoft's SDK that is killed: we get its messages when the locks are over")
{
    const EmulatorQueue place{{{"requiresSession", false}, {"lockDurationMs", 60'000}}, own_emulator()};
    MessageQueue queue{place.settings()};
    queue.send(make_messages(20, 0));
    auto peer = start_peer(place, "receive", 20, {"--hold"});
    for (int at = 0; at < 20; ++at) REQUIRE_FALSE(peer.read_line().empty());
    peer.kill(SIGKILL);
    CHECK(peer.wait() == -SIGKILL);
    CHECK(place.counts().locked == 20);
    place.emulator().advance(1min);
    const auto received = receive_all(queue, 20);
    CHECK(received.size() == 20);
    for (const auto& message : received) {
        CHECK(message.delivery_count == 2);
        queue.settle(message, escqrs::Complete{});
    }
    CHECK(place.counts().to_be_handled() == 0);
}

TEST_CASE("Microsoft's SDK reads the rules of a topic that we made, and receives by them what we publish")
{
    Emulator emulator; // no test moves its clock: the SDK's tokens for the REST API last five minutes of the real time
    const EmulatorTopic topic{.emulator = emulator, .name = emulator.new_name()};
    auto administration = topic.administration();
    administration.create_if_missing();
    const service_bus::Rule red{"red", service_bus::SqlFilter{"colour = 'red' AND sys.Label LIKE 'order%'"}};
    const service_bus::Rule blue{
        "blue", service_bus::CorrelationFilter{.correlation_id = "correlation",
                                               .subject = "order",
                                               .properties = {{"colour", std::string{"blue"}}, {"urgent", true}}}};
    administration.create_subscription_if_missing("some", without_sessions({red, blue}));
    auto teller =
        start_peer(emulator, topic.rest_connection_string(), topic.name, "rules", 2, {"--subscription", "some"});
    const auto rules = told_by(teller);
    REQUIRE(rules.size() == 2);
    const std::size_t first = text(rules[0], "name") == "red" ? 0 : 1; // the SDK tells them in the broker's order
    CHECK(text(rules[first], "name") == "red");
    CHECK(text(rules[first].at("filter"), "sqlExpression") == "colour = 'red' AND sys.Label LIKE 'order%'");
    CHECK(text(rules[1 - first], "name") == "blue");
    const auto& filter = rules[1 - first].at("filter");
    CHECK(text(filter, "correlationId") == "correlation");
    CHECK(text(filter, "subject") == "order");
    CHECK(filter.at("applicationProperties") == json::value{{"colour", "blue"}, {"urgent", true}});

    MessageQueue publisher = topic.publisher();
    std::vector<service_bus::Message> messages(4);
    for (std::size_t number = 0; number < messages.size(); ++number) {
        auto& message = messages[number];
        static_cast<escqrs::Message&>(message) = make_message(std::to_string(number));
        message.subject = number == 1 ? "invoice" : "order";
        message.correlation_id = "correlation";
        message.properties.add("colour", number < 2 ? "red" : "blue");
        message.typed_properties = {{"urgent", number == 3}};
    }
    publisher.send_detailed(messages);
    auto receiver = start_peer(EmulatorQueue{topic.name, {}, topic.emulator}, "receive", 2, {"--subscription", "some"});
    const auto received = told_by(receiver);
    REQUIRE(received.size() == 2);
    CHECK(text(received[0], "messageId") == "0");
    CHECK(text(received[1], "messageId") == "3");
    CHECK(text(received[1], "body") == messages[3].body);
    CHECK(administration.counts("some").active == 0);
}

TEST_CASE("what Microsoft's SDK publishes to a topic that we made, we receive by our rules")
{
    const EmulatorTopic topic{.emulator = own_emulator(), .name = own_emulator().new_name()};
    auto administration = topic.administration();
    administration.create_if_missing();
    const service_bus::Rule sql{"sql", service_bus::SqlFilter{"integer > 1 AND truth = TRUE"}};
    const service_bus::Rule by_text{
        "text", service_bus::CorrelationFilter{
                    .reply_to = "answers",
                    .subject = "Subject",
                    .properties = {{"text", std::string{"gr\xC3\xBC\xC3\x9F"}}, {"integer", std::int64_t{0}}}}};
    administration.create_subscription_if_missing("some", without_sessions({sql, by_text}));
    auto sender = start_peer(EmulatorQueue{topic.name, {}, topic.emulator}, "send", 3, {"--properties"});
    CHECK(told_by(sender).size() == 3);
    MessageQueue subscriber = topic.subscriber("some");
    CHECK(administration.counts("some").active == 2);
    CHECK(work_off(subscriber, 2) == std::vector<std::string>{"peer-0", "peer-2"});
}

TEST_CASE("traces go on from us to Microsoft's SDK, and from it to us, by Diagnostic-Id")
{
    const std::string trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const EmulatorQueue place{{{"requiresSession", false}}, own_emulator()};
    MessageQueue queue{place.settings()};
    escqrs::Message event = make_message("ours");
    event.properties.add("cloudEvents:traceparent", trace);
    send(queue, event);
    auto receiver = start_peer(place, "receive", 1, {"--trace", "00-of-the-receiver"});
    const auto received = told_by(receiver);
    REQUIRE(received.size() == 1);
    CHECK(text(received[0], "traceparent") == trace); // as the SDK itself reads it

    auto sender = start_peer(place, "send", 1, {"--trace", trace});
    CHECK(told_by(sender).size() == 1);
    const auto ours = receive_all(queue, 1);
    REQUIRE(ours.size() == 1);
    CHECK(ours[0].message.properties.find("Diagnostic-Id") == trace);
    queue.settle(ours[0], escqrs::Complete{});
}
