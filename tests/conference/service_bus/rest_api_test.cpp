// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/error_of.hpp"
#include "support/fake_http_server.hpp"

#include <service_bus/amqp_connection.hpp>
#include <service_bus/connection_string.hpp>
#include <service_bus/queue_administration.hpp>
#include <service_bus/topic_administration.hpp>

#include <escqrs/testing/catch2.hpp>

#include <chrono>
#include <future>
#include <optional>
#include <stop_token>
#include <string>

namespace {

using namespace service_bus;
using Catch::Matchers::Contains;
using Answer = FakeHttpServer::Answer;
using Request = FakeHttpServer::Request;

const Broker with_key = parse_broker("Endpoint=sb://namespace.example;SharedAccessKeyName=root;SharedAccessKey=the-key;"
                                     "EntityPath=queue");

AccessToken token(const TokenRequest&) { return {"the.secret.token-of-somebody", TokenType::jwt, {}, {}}; }

std::string after(const std::string& text, const std::string& mark, const std::string& end)
{
    const auto at = text.find(mark) + mark.size();
    return text.substr(at, text.find(end, at) - at);
}

} // namespace

TEST_CASE("a management address that would get a token unencrypted is refused by its name")
{
    const std::string address = GENERATE("http://management.example:8080/path", "http://127.0.0.1.example",
                                         "http://10.1.2.3", "http://localhost@management.example");
    const std::string expected = "address of the Service Bus REST API: expected https://host, or http:// with a "
                                 "loopback address, because what is sent and answered is secret; found 'http://";
    CHECK_THAT(error_of([&] { (void)QueueAdministration{with_key, address}; }), Contains(expected));
    CHECK_THAT(error_of([&] { (void)TopicAdministration(with_key, address, {}, escqrs::system_clock(), token); }),
               Contains(expected));
}

TEST_CASE("what the REST API says is shown in one line, and without the token that it repeats")
{
    const int status = GENERATE(202, 500); // whatever is not expected
    FakeHttpServer server{[status](const Request& request) {
        const std::string sent = after(request.header, "authorization: ", "\r\n"); // in lower case
        return Answer{status, "<Detail>in\r\nvain:\t" + sent + "</Detail>"};
    }};
    const std::string shown = "found " + std::to_string(status) + ": <Detail>in  vain: bearer ***</Detail>";
    QueueAdministration bearer{with_key, server.url(), {}, escqrs::system_clock(), token};
    const std::string error = error_of([&] { (void)bearer.create_if_missing({}); });
    CHECK_THAT(error, Contains("creating 'queue' at " + server.url() + ": expected 201 or 409, " + shown));
    TopicAdministration topic{with_key, server.url(), {}, escqrs::system_clock(), token};
    CHECK_THAT(error_of([&] { (void)topic.remove_subscription("s"); }), Contains(shown));
}

TEST_CASE("counting stops at once when it is asked to, though the REST API or the token source is silent")
{
    std::promise<void> asked;
    const FakeHttpServer server{[&](const Request&) {
        asked.set_value();
        return std::optional<Answer>{};
    }};
    const bool is_source_silent = GENERATE(false, true);
    const TokenSource silent = [&](const TokenRequest& request) {
        asked.set_value();
        std::promise<void> stopped;
        const std::stop_callback end{request.stop, [&] { stopped.set_value(); }};
        if (stopped.get_future().wait_for(std::chrono::seconds{5}) == std::future_status::timeout)
            return token(request);
        throw TokenError{"stopped while waiting for a token"};
    };
    QueueAdministration administration{
        with_key, server.url(), {}, escqrs::system_clock(), is_source_silent ? silent : TokenSource{token}};
    std::stop_source stop;
    auto error = std::async(std::launch::async,
                            [&] { return error_of([&] { (void)administration.counts(stop.get_token()); }); });
    asked.get_future().wait();
    stop.request_stop();
    CHECK_THAT(error.get(), Contains("stopped"));
}

TEST_CASE("a broker that would get a token or a password unencrypted is refused by its name")
{
    const auto error = [](const std::string& text, const TokenSource& tokens = {}) {
        return error_of([&] {
            AmqpConnectionOptions options;
            options.broker = parse_broker(text);
            options.tokens = tokens;
            const AmqpConnection connection{std::move(options)};
        });
    };
    const std::string emulator = ";SharedAccessKeyName=n;SharedAccessKey=k;UseDevelopmentEmulator=true";
    const std::string expected = "expected TLS, or a loopback address, because a token or password would travel "
                                 "unencrypted; found '";
    CHECK_THAT(error("Endpoint=sb://emulator.example" + emulator), Contains(expected + "sb://emulator.example:5672/'"));
    CHECK_THAT(error("Endpoint=sb://emulator.example;SharedAccessKeyName=n;SharedAccessKey=SAS_KEY_VALUE;"
                     "UseDevelopmentEmulator=true",
                     token),
               Contains(expected));
    CHECK_THAT(
        error("Endpoint=sb://emulator.example;SharedAccessSignature=SharedAccessSignature sr=s&sig=s&se=4102444800"
              "&skn=n;UseDevelopmentEmulator=true"),
        Contains(expected));
    CHECK_THAT(error("amqp://user:secret@127.0.0.1.example/queue"),
               Contains(expected + "amqp://127.0.0.1.example:5672/queue'") && !Contains("secret"));
    CHECK(error("Endpoint=sb://127.0.0.1:1" + emulator).empty());
    CHECK(error("amqp://user:secret@localhost:1/queue").empty());
    CHECK(error("amqp://127.0.0.9:1/queue").empty());
    CHECK_NOTHROW(require_private(parse_broker("amqp://broker.example/queue"), false)); // there is no secret
    CHECK_NOTHROW(require_private(parse_broker("amqps://user:secret@broker.example/queue"), false));
    CHECK_NOTHROW(require_private(parse_broker("Endpoint=sb://emulator;SharedAccessKeyName=n;"
                                               "SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true"),
                                  false));
}
