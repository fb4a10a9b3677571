// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/account.hpp"

#include <escqrs/commands/repository.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/messaging/cloud_events.hpp>
#include <escqrs/testing/catch2.hpp>

#include <string>
#include <variant>
#include <vector>

using namespace escqrs;
using account::Account;
using account::AccountOpened;
using account::MoneyDeposited;

namespace {

using AccountEvents = CloudEvents<Account::EventTypes>;

std::string property(const Message& message, const std::string& name)
{
    return std::string{message.properties.find(name).value_or("(none)")};
}

struct Published {
    std::vector<Message> messages;
    std::vector<EventContext> contexts;
};

Published publish(const Metadata& metadata)
{
    in_memory::EventStore store;
    const Repository<Account, in_memory::EventStore> accounts{store};
    auto account = Account::open(Account::Id{parse_uuid("00112233-4455-6677-8899-aabbccddeeff")}, "Ada");
    account.deposit(5, "rent");
    accounts.save(account, metadata);
    AccountEvents translate{"/bank"};
    Published published;
    store.read_log({}, 10, [&](const RecordedEvent& event) {
        published.messages.push_back(translate(event));
        published.contexts.push_back(context_of(event));
        return true;
    });
    return published;
}

Metadata full_metadata()
{
    Metadata metadata;
    metadata.correlation_id = CorrelationId{random_uuid()};
    metadata.causation_id = CausationId{random_uuid()};
    metadata.command_id = CommandId{random_uuid()};
    metadata.actor = "ada";
    metadata.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    metadata.headers = {{"tenant", "north"}};
    return metadata;
}

} // namespace

TEST_CASE("a stored event becomes a CloudEvent in the AMQP binding")
{
    const auto metadata = full_metadata();
    const auto message = publish(metadata).messages.at(1);
    CHECK(message.body == R"({"cents":5,"note":"rent"})");
    CHECK(message.content_type == "application/json");
    CHECK(message.session_id == "account-00112233-4455-6677-8899-aabbccddeeff");
    CHECK(message.correlation_id == to_string(metadata.correlation_id));
    CHECK(property(message, "cloudEvents:specversion") == "1.0");
    CHECK(property(message, "cloudEvents:id") == message.message_id);
    CHECK(property(message, "cloudEvents:type") == "MoneyDeposited");
    CHECK(property(message, "cloudEvents:source") == "/bank");
    CHECK(property(message, "cloudEvents:subject") == message.session_id);
    CHECK(property(message, "cloudEvents:streamversion") == "2");
    CHECK(property(message, "cloudEvents:position") == "2");
    CHECK(property(message, "cloudEvents:schemaversion") == "1");
    CHECK(property(message, "cloudEvents:traceparent") == metadata.traceparent);
    CHECK(property(message, "tenant") == "north");
}

TEST_CASE("a message gives back the event and its context")
{
    for (const auto& metadata : {Metadata{}, full_metadata()}) {
        const auto published = publish(metadata);
        AccountEvents events{"/elsewhere"};
        std::vector<Account::Event> decoded;
        for (std::size_t index = 0; index < published.messages.size(); ++index) {
            events.decode(published.messages[index], [&](const auto& event, const EventContext& context) {
                const auto& expected = published.contexts[index];
                decoded.emplace_back(event);
                CHECK(context.stream == expected.stream);
                CHECK(context.version == expected.version);
                CHECK(context.position == expected.position);
                CHECK(context.id == expected.id);
                CHECK(context.recorded_at == expected.recorded_at);
                CHECK(context.metadata == expected.metadata);
            });
        }
        REQUIRE(decoded.size() == 2);
        CHECK(std::get<AccountOpened>(decoded[0]).owner == "Ada");
        CHECK(std::get<MoneyDeposited>(decoded[1]) == MoneyDeposited{5, "rent"});
    }
}

TEST_CASE("a message that is not such a CloudEvent is refused with the attribute's name")
{
    const auto good = publish({}).messages.at(0);
    AccountEvents events{"/bank"};
    const auto nothing = [](const auto&, const EventContext&) {};
    const auto set = [&](const std::string& name, const std::string& value) {
        Message message = good;
        message.properties.erase("cloudEvents:" + name);
        if (value != "(none)") message.properties.add("cloudEvents:" + name, value);
        return message;
    };
    const std::vector<std::pair<std::string, std::string>> bad{{"specversion", "(none)"},
                                                               {"specversion", "0.3"},
                                                               {"id", "7"},
                                                               {"type", "(none)"},
                                                               {"subject", "nostream"},
                                                               {"subject", "(none)"},
                                                               {"time", "yesterday"},
                                                               {"streamversion", "-1"},
                                                               {"position", "1x"},
                                                               {"position", "99999999999999999999"},
                                                               {"schemaversion", "4294967296"},
                                                               {"commandid", "x"}};
    for (const auto& [name, value] : bad) {
        CAPTURE(name, value);
        CHECK_THROWS_AS(events.decode(set(name, value), nothing), CodecError);
        CHECK_THROWS_WITH(events.decode(set(name, value), nothing), Catch::Contains(good.message_id));
    }
    CHECK_THROWS_AS(events.decode(set("type", "NeverHeardOf"), nothing), UnknownEventType);
    CHECK_THROWS_AS(events.decode(set("schemaversion", "9"), nothing), CodecError);
    Message truncated = good;
    truncated.body.pop_back();
    CHECK_THROWS_AS(events.decode(truncated, nothing), CodecError);
}

TEST_CASE("a header that would forge an attribute is not sent, even if it was stored")
{
    const StreamId stream = StreamId::parse("account-1");
    Metadata metadata;
    const std::string name = GENERATE("cloudEvents:actor", "cloudEvents_actor");
    metadata.headers = {{name, "eve"}};
    std::vector<std::byte> bytes;
    detail::StoredMetadata stored{metadata}; // as before such headers were refused
    archive::BinaryOutput{bytes}.root(stored, 0);
    std::vector<std::byte> payload;
    Codec<Account::EventTypes>{}.encode(account::AccountOpened{"Ada"}, payload);
    const RecordedEvent event{stream,
                              StreamVersion{1},
                              GlobalPosition{1},
                              Timestamp{},
                              EventId{},
                              "AccountOpened",
                              0,
                              archive::Binary::content_type,
                              Bytes{payload},
                              Bytes{bytes}};
    CloudEvents<Account::EventTypes> translate{"/bank"};
    CHECK_THROWS_WITH(translate(event), Catch::Contains("'" + name + "'") && Catch::Contains("attribute"));
}
