// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <service_bus/management.hpp>
#include <service_bus/message_codec.hpp>

#include <escqrs/core/error.hpp>
#include <escqrs/testing/catch2.hpp>

#include <proton/annotation_key.hpp>
#include <proton/binary.hpp>
#include <proton/codec/map.hpp>
#include <proton/codec/vector.hpp>
#include <proton/message.hpp>
#include <proton/message_id.hpp>
#include <proton/symbol.hpp>
#include <proton/timestamp.hpp>
#include <proton/uuid.hpp>
#include <proton/value.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace service_bus;
using namespace std::chrono_literals;

escqrs::Message full_message()
{
    escqrs::Message message;
    message.message_id = "id-1";
    message.session_id = "attendee-7";
    message.subject = "AttendeeRegistered";
    message.correlation_id = "correlation";
    message.content_type = "application/json";
    message.body = std::string{"\0\xFF{}", 4};
    message.properties = {{"z", "last"}, {"a", std::string{"\0nul", 4}}, {"empty", ""}};
    message.scheduled_enqueue_time = escqrs::Timestamp{1'767'225'600'123ms};
    return message;
}

} // namespace

TEST_CASE("a message comes back from its bytes as it was, its properties in order")
{
    const auto message = full_message();
    const auto decoded =
        decode_message(encode_message(message, {}, message.message_id, "-", Dialect::service_bus), "-");
    CHECK(decoded.received.message == message);
    CHECK(decoded.received.delivery_count == 1);
    CHECK(decoded.received.locked_until == escqrs::Timestamp::max());
}

TEST_CASE("a message without a session travels in the one that stands for none")
{
    escqrs::Message message = full_message();
    message.session_id.clear();
    const auto bytes = encode_message(message, {}, message.message_id, "-", Dialect::service_bus);
    CHECK(decode_message(bytes, "").received.message.session_id == "-");
    CHECK(decode_message(bytes, "-").received.message == message);
}

TEST_CASE("under another id on the wire, receivers see a message's own")
{
    const auto message = full_message();
    const auto bytes = encode_message(message, {}, "resubmitted-5", "", Dialect::service_bus);
    proton::message wire;
    wire.decode(bytes);
    CHECK(proton::to_string(wire.id()) == "resubmitted-5");
    CHECK(decode_message(bytes, "").received.message == message);
}

TEST_CASE("what the dialect has no word for is refused by name")
{
    const escqrs::Message message = full_message();
    CHECK_THROWS_AS(encode_message(message, {}, message.message_id, "", Dialect::amqp10), escqrs::MessageRefused);
    CHECK_THROWS_WITH(encode_message(message, {}, message.message_id, "", Dialect::amqp10),
                      Catch::Matchers::Contains("scheduled enqueue time"));
}

TEST_CASE("what others send is read too: ids and properties of other types, text bodies, annotations")
{
    proton::message wire;
    wire.id(proton::message_id{std::uint64_t{42}});
    wire.correlation_id(proton::message_id{proton::binary{'a', 'b'}});
    wire.body(std::string{"text"});
    wire.properties().put("number", std::int32_t{-7});
    wire.properties().put("flag", true);
    wire.properties().put("DeadLetterReason", std::string{"why"});
    wire.properties().put("DeadLetterErrorDescription", std::string{"because"});
    wire.properties().put("DeadLetteredAt", std::string{"2026-01-01T00:00:00Z"});
    wire.message_annotations().put(proton::annotation_key{proton::symbol{"x-opt-sequence-number"}}, std::int64_t{77});
    wire.message_annotations().put(proton::annotation_key{proton::symbol{"x-opt-enqueued-time"}},
                                   proton::timestamp{1000});
    wire.message_annotations().put(proton::annotation_key{proton::symbol{"x-opt-locked-until"}},
                                   proton::timestamp{2000});
    wire.delivery_count(4);
    std::vector<char> bytes;
    wire.encode(bytes);
    const auto decoded = decode_message(bytes, "");
    CHECK(decoded.received.message.message_id == "42");
    CHECK(decoded.received.message.correlation_id == "ab");
    CHECK(decoded.received.message.body == "text");
    CHECK(decoded.received.message.properties == escqrs::MessageProperties{{"flag", "true"}, {"number", "-7"}});
    CHECK(decoded.dead_letter_reason == "why");
    CHECK(decoded.dead_letter_description == "because");
    CHECK(decoded.dead_lettered_at == escqrs::Timestamp{std::chrono::sys_days{std::chrono::year{2026} / 1 / 1}});
    CHECK(decoded.received.sequence_number == 77);
    CHECK(decoded.received.enqueued_at == escqrs::Timestamp{1s});
    CHECK(decoded.received.locked_until == escqrs::Timestamp{2s});
    CHECK(decoded.received.delivery_count == 5);
}

TEST_CASE("a body of several data sections is all of them")
{
    escqrs::Message message = full_message();
    message.body = std::string(300, 'a'); // a section of a long form
    const auto whole = encode_message(message, {}, message.message_id, "", Dialect::service_bus);
    const auto with = [&](std::string_view more) {
        auto bytes = whole;
        bytes.insert(bytes.end(), more.begin(), more.end());
        return decode_message(bytes, "").received.message.body;
    };
    const auto section = [](std::string_view descriptor, std::string_view binary) {
        return std::string(1, '\0').append(descriptor).append(binary);
    };
    const std::string_view number{"\x53\x75", 2};
    const std::string_view long_number{"\x80\0\0\0\0\0\0\0\x75", 9};
    const std::string_view symbol{"\xA3\x10"
                                  "amqp:data:binary"};
    const std::string_view empty{"\xA0\0", 2};
    const std::string_view two{"\xB0\0\0\0\x02zz", 7};
    CHECK(with(section(number, "\xA0\x03xyz") + section(number, empty)) == message.body + "xyz");
    CHECK(with(section(long_number, two) + section(number, "\xA0\x01y")) == message.body + "zzy");
    CHECK(with(section(symbol, "\xA0\x01g")) == message.body + "g");
}

TEST_CASE("a time among the properties is read as CloudEvents writes it")
{
    proton::message wire;
    wire.id("m");
    wire.properties().put("cloudEvents:time", proton::timestamp{1'767'225'600'123});
    std::vector<char> bytes;
    wire.encode(bytes);
    CHECK(decode_message(bytes, "").received.message.properties ==
          escqrs::MessageProperties{{"cloudEvents:time", "2026-01-01T00:00:00.123000Z"}});
}

TEST_CASE("a body that is neither bytes nor text, and bytes that are no message, are refused")
{
    proton::message wire;
    wire.body(std::int32_t{5});
    std::vector<char> bytes;
    wire.encode(bytes);
    CHECK_THROWS_WITH(decode_message(bytes, ""), Catch::Matchers::Contains("body: expected bytes or text"));
    CHECK_THROWS_AS(decode_message({'n', 'o'}, ""), escqrs::TransportError);
}

TEST_CASE("hostile bytes are a message or an error, and nothing else")
{
    const auto message = full_message();
    const auto whole = encode_message(message, {}, message.message_id, "-", Dialect::service_bus);
    std::minstd_rand random{5};
    int refused = 0;
    for (int round = 0; round < 20'000; ++round) {
        auto bytes = whole;
        for (auto change = 1 + random() % 4; change > 0; --change) {
            const auto at = static_cast<std::ptrdiff_t>(random() % bytes.size());
            switch (random() % 3) {
            case 0: bytes[static_cast<std::size_t>(at)] = static_cast<char>(random()); break;
            case 1: bytes.erase(bytes.begin() + at); break;
            default: bytes.insert(bytes.begin() + at, static_cast<char>(random()));
            }
        }
        try {
            (void)decode_message(bytes, "-");
        } catch (const escqrs::TransportError&) {
            ++refused;
        }
    }
    CHECK(refused > 0);
}

TEST_CASE("what Service Bus has beyond a message of the library comes back with its types")
{
    Message message;
    static_cast<escqrs::Message&>(message) = full_message();
    message.to = "destination";
    message.reply_to = "answers";
    message.reply_to_session_id = "answer-session";
    message.partition_key = "attendee-7";
    message.time_to_live = 90s;
    message.typed_properties = {{"size", std::int64_t{1} << 40U},
                                {"real", 0.5},
                                {"truth", true},
                                {"moment", escqrs::Timestamp{1'767'225'600'123ms}}};
    const auto bytes = encode_message(message, message, message.message_id, "-", Dialect::service_bus);
    const auto decoded = decode_message(bytes, "-");
    CHECK(static_cast<const MessageDetails&>(decoded.received) == message);
    const std::map<std::string, std::string> texts(decoded.received.message.properties.begin(),
                                                   decoded.received.message.properties.end());
    CHECK(texts.at("size") == "1099511627776");
    CHECK(texts.at("moment") == "2026-01-01T00:00:00.123000Z");
    const Message whole = to_message(decoded.received);
    CHECK(static_cast<const escqrs::Message&>(whole) == full_message());
    CHECK(static_cast<const MessageDetails&>(whole) == message);
}

TEST_CASE("details that cannot travel are refused by name")
{
    Message message;
    static_cast<escqrs::Message&>(message) = full_message();
    const auto refusal = [](const Message& bad) {
        try {
            check_message(bad);
            (void)encode_message(bad, bad, bad.message_id, "-", Dialect::service_bus);
        } catch (const escqrs::MessageRefused& error) {
            return std::string{error.what()};
        }
        return std::string{};
    };
    CHECK(refusal(message).empty());
    Message bad = message;
    bad.time_to_live = 0s;
    CHECK_THAT(refusal(bad), Catch::Matchers::Contains("time to live"));
    bad.time_to_live = 24h * 50;
    CHECK_THAT(refusal(bad), Catch::Matchers::Contains("time to live"));
    bad = message;
    bad.typed_properties = {{"z", true}}; // there is a text of that name
    CHECK_THAT(refusal(bad), Catch::Matchers::Contains("'z' more than once"));
    bad.typed_properties = {{"", true}};
    CHECK_THAT(refusal(bad), Catch::Matchers::Contains("a property has no name"));
    bad = message;
    bad.reply_to = "\xFF";
    CHECK_THAT(refusal(bad), Catch::Matchers::Contains("'reply-to' is not UTF-8"));
    bad.reply_to = std::string{"a\0b", 3};
    CHECK_THAT(refusal(bad), Catch::Matchers::Contains("'reply-to' has a zero byte"));
}

TEST_CASE("a message has one Diagnostic-Id, its own if it has one of any type")
{
    const std::string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const auto ids_of = [](const Message& message) {
        proton::message wire;
        wire.decode(encode_message(message, message, message.message_id, "", Dialect::service_bus));
        std::vector<std::pair<std::string, proton::value>> properties;
        proton::get(wire.properties().value(), properties);
        std::vector<std::string> ids;
        for (const auto& [name, value] : properties) {
            if (name == "Diagnostic-Id") ids.push_back(proton::to_string(value));
        }
        return ids;
    };
    Message message;
    message.message_id = "m";
    message.properties = {{"traceparent", trace}};
    SECTION("a text among the typed properties")
    {
        message.typed_properties = {{"Diagnostic-Id", std::string{"its own"}}};
        CHECK(ids_of(message) == std::vector<std::string>{"its own"});
    }
    SECTION("a number")
    {
        message.typed_properties = {{"Diagnostic-Id", std::int64_t{7}}};
        CHECK(ids_of(message) == std::vector<std::string>{"7"});
    }
    SECTION("the trace is among the typed properties")
    {
        message.properties.clear();
        message.typed_properties = {{"traceparent", trace}};
        CHECK(ids_of(message) == std::vector<std::string>{trace});
    }
}

TEST_CASE("a trace is passed to Azure's SDKs, and taken from them")
{
    using Texts = std::map<std::string, std::string>;
    const std::string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const auto wire_of = [](const escqrs::MessageProperties& properties) {
        escqrs::Message message = full_message();
        message.properties = properties;
        proton::message wire;
        wire.decode(encode_message(message, {}, message.message_id, "", Dialect::service_bus));
        return wire;
    };
    const auto diagnostic_id = [](const proton::message& wire) {
        return wire.properties().exists("Diagnostic-Id") ? proton::to_string(wire.properties().get("Diagnostic-Id"))
                                                         : std::string{};
    };
    const auto read = [](const proton::message& wire) {
        std::vector<char> bytes;
        wire.encode(bytes);
        const auto properties = decode_message(bytes, "").received.message.properties;
        return Texts(properties.begin(), properties.end()); // Proton's message does not keep their order
    };
    for (const char* const name : {"cloudEvents:traceparent", "traceparent"}) {
        const escqrs::MessageProperties properties{{"cloudEvents:type", "T"}, {name, trace}};
        CHECK(diagnostic_id(wire_of(properties)) == trace);
        CHECK(read(wire_of(properties)) == Texts{{"cloudEvents:type", "T"}, {name, trace}}); // without the repetition
    }
    const escqrs::MessageProperties own{{"traceparent", trace}, {"Diagnostic-Id", "of the caller"}};
    CHECK(diagnostic_id(wire_of(own)) == "of the caller");
    CHECK(diagnostic_id(wire_of({{"other", "text"}})).empty());

    const escqrs::MessageProperties event{{"cloudEvents:type", "T"},
                                          {"Diagnostic-Id", trace}}; // of Azure's SDK for .NET
    CHECK(read(wire_of(event)) == Texts{{"cloudEvents:type", "T"}, {"cloudEvents:traceparent", trace}});
    CHECK(read(wire_of({{"Diagnostic-Id", trace}})) == Texts{{"Diagnostic-Id", trace}});
}

TEST_CASE("of peeked messages no more are taken than were asked for")
{
    std::vector<proton::value> entries;
    for (const char* const bytes : {"first", "second", "third"})
        entries.emplace_back(std::map<std::string, proton::value>{{"message", proton::binary{std::string{bytes}}}});
    proton::message answer;
    answer.body(std::map<std::string, proton::value>{{"messages", entries}});
    CHECK(peeked_messages(answer, 4).size() == 3);
    const auto two = peeked_messages(answer, 2);
    REQUIRE(two.size() == 2);
    CHECK(std::string(two[1].begin(), two[1].end()) == "second");
}
