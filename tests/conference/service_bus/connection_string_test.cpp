// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <service_bus/connection_string.hpp>

#include <escqrs/core/error.hpp>
#include <escqrs/testing/catch2.hpp>

#include <random>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace {

using namespace service_bus;
using Catch::Matchers::Contains;

std::string refusal(const std::string& text)
{
    try {
        (void)parse_broker(text);
    } catch (const escqrs::TransportError& error) {
        return error.what();
    }
    FAIL("expected a TransportError for " << text);
    return {};
}

} // namespace

TEST_CASE("a connection string as Azure gives it")
{
    const Broker broker = parse_broker("Endpoint=sb://conference.servicebus.windows.net/;SharedAccessKeyName=sender;"
                                       "SharedAccessKey=a2V5+/k=;EntityPath=events");
    CHECK(broker.dialect == Dialect::service_bus);
    CHECK(broker.host == "conference.servicebus.windows.net");
    CHECK(broker.port == 5671);
    CHECK(broker.tls);
    CHECK(broker.entity == "events");
    CHECK(broker.credentials == decltype(broker.credentials){SharedAccessKey{"sender", "a2V5+/k="}});
    CHECK(to_display_text(broker) == "sb://conference.servicebus.windows.net:5671/events");
}

TEST_CASE("names of its parts in any case and order, with a port, for the emulator")
{
    const Broker broker = parse_broker(
        "sharedaccesskey=k;UseDevelopmentEmulator=TRUE;;ENDPOINT=sb://localhost:5673;SharedAccessKeyName=n;");
    CHECK(broker.host == "localhost");
    CHECK(broker.port == 5673);
    CHECK_FALSE(broker.tls);
    CHECK(broker.is_emulator);
    CHECK(broker.entity.empty());
    CHECK(parse_broker("Endpoint=sb://h;SharedAccessKeyName=n;SharedAccessKey=k;UseDevelopmentEmulator=true").port ==
          5672);
}

TEST_CASE("a ready-made signature instead of a key")
{
    const std::string token = "SharedAccessSignature sr=a&sig=b%3D&se=1&skn=c";
    const Broker broker = parse_broker("Endpoint=sb://[::1]:1/;SharedAccessSignature=" + token);
    CHECK(broker.host == "::1");
    CHECK(broker.credentials == decltype(broker.credentials){SharedAccessSignature{token}});
    CHECK(to_display_text(broker) == "sb://[::1]:1/");
}

TEST_CASE("a queue at Service Bus by its address alone, for a token source")
{
    const Broker broker = parse_broker("sb://conference.servicebus.windows.net/a%20topic/Subscriptions/mail");
    CHECK(broker.dialect == Dialect::service_bus);
    CHECK(broker.host == "conference.servicebus.windows.net");
    CHECK(broker.port == 5671);
    CHECK(broker.tls);
    CHECK(broker.entity == "a topic/Subscriptions/mail");
    CHECK(std::holds_alternative<std::monostate>(broker.credentials));
    CHECK(parse_broker("SB://localhost:1").port == 1);
    CHECK(parse_broker("sb://localhost/").entity.empty());
}

TEST_CASE("the address of a queue at another AMQP broker")
{
    const Broker broker = parse_broker("amqp://us%40er:p%3Aw@127.0.0.1:5673/%2Famq%2Fqueue%2Fevents");
    CHECK(broker.dialect == Dialect::amqp10);
    CHECK(broker.entity == "/amq/queue/events");
    CHECK(broker.port == 5673);
    CHECK(broker.credentials == decltype(broker.credentials){UserPassword{"us@er", "p:w"}});
    CHECK(to_display_text(broker) == "amqp://127.0.0.1:5673//amq/queue/events");
    const Broker plain = parse_broker("AMQPS://broker");
    CHECK(plain.tls);
    CHECK(plain.port == 5671);
    CHECK(plain.entity.empty());
    CHECK(std::holds_alternative<std::monostate>(plain.credentials));
}

TEST_CASE("what does not make sense is refused by the name of its part")
{
    const std::string key = ";SharedAccessKeyName=n;SharedAccessKey=k";
    const std::vector<std::pair<std::string, std::string>> bad{
        {"", "Endpoint"},
        {"Endpoint", "part 1"},
        {"Endpoint=" + key, "Endpoint: expected a value"},
        {"Endpoint=https://host" + key, "Endpoint: expected sb://host"},
        {"Endpoint=sb://" + key, "Endpoint: expected a host name"},
        {"Endpoint=sb://ho st" + key, "Endpoint: expected a host name"},
        {"Endpoint=sb://host/path" + key, "Endpoint: expected a host name"},
        {"Endpoint=sb://host:" + key, "Endpoint: expected a port"},
        {"Endpoint=sb://host:0" + key, "Endpoint: expected a port"},
        {"Endpoint=sb://host:65536" + key, "Endpoint: expected a port"},
        {"Endpoint=sb://host:12x" + key, "Endpoint: expected a port"},
        {"Endpoint=sb://[::1" + key, "Endpoint: expected ']'"},
        {"Endpoint=sb://a;Endpoint=sb://b" + key, "Endpoint: expected once"},
        {"Endpoint=sb://a;Unknown=1" + key, "part 2"},
        {"Endpoint=sb://a;SharedAccessKey=k", "SharedAccessKeyName"},
        {"Endpoint=sb://a;SharedAccessKeyName=n", "SharedAccessKey:"},
        {"Endpoint=sb://a;SharedAccessSignature=s" + key, "found both"},
        {"Endpoint=sb://a;UseDevelopmentEmulator=maybe" + key, "UseDevelopmentEmulator: expected true or false"},
        {"sb://", "host: expected a host name"},
        {"sb://host:0/q", "host: expected a port"},
        {"sb://host/q?secret", "expected sb://host[:port][/queue] and nothing more"},
        {"sb://user:secret@host/q", "expected sb://host[:port][/queue] and nothing more"},
        {"sb://host/;SharedAccessKey=secret", "expected sb://host[:port][/queue] and nothing more"},
        {"amqp://", "host: expected a host name"},
        {"amqp://user@host/q", "login: expected user:password"},
        {"amqp://:secret@host/q", "login: expected user:password"},
        {"amqp://user:%zz@host/q", "password: expected two hexadecimal digits"},
        {"amqp://host/%4", "queue: expected two hexadecimal digits"},
    };
    for (const auto& [text, part] : bad) CHECK_THAT(refusal(text), Contains(part) && !Contains("secret"));
}

TEST_CASE("no error shows a secret, however torn the connection string is")
{
    const std::string secret = "Zm9yYmlkZGVu";
    const std::string whole = "Endpoint=sb://host/;SharedAccessKeyName=name;SharedAccessKey=" + secret +
                              ";EntityPath=events;UseDevelopmentEmulator=true";
    std::minstd_rand random{7};
    for (int round = 0; round < 20'000; ++round) {
        std::string torn = whole;
        for (int change = 0; change < 3; ++change) {
            const std::size_t at = random() % torn.size();
            if (random() % 2 == 0) torn.erase(at, 1 + random() % 5);
            else torn.insert(at, 1, ";=:/%x"[random() % 6]);
        }
        try {
            (void)parse_broker(torn);
        } catch (const escqrs::TransportError& error) {
            const std::string text = error.what();
            for (std::size_t at = 0; at + 6 <= secret.size(); ++at) // a host may be torn into its place, a key not
                REQUIRE(text.find(secret.substr(at, 6)) == std::string::npos);
        }
    }
}

TEST_CASE("the path of a subscription names its topic and itself, and other paths name none")
{
    for (const char* path : {"topic/Subscriptions/name", "topic/subscriptions/name", "topic/SUBSCRIPTIONS/name"}) {
        const auto found = service_bus::subscription_in(path);
        REQUIRE(found);
        CHECK(found->topic == "topic");
        CHECK(found->name == "name");
    }
    CHECK(service_bus::subscription_in("a/b/Subscriptions/name").value().topic == "a/b");
    for (const char* path :
         {"", "queue", "a/queue", "topic/Subscriptions/", "/Subscriptions/name", "Subscriptions/name",
          "topic/Subscriptions/name/$deadletterqueue", "topic/otherSubscriptions/name"})
        CHECK_FALSE(service_bus::subscription_in(path));
}
