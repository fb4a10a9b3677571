// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// Tokens of Microsoft Entra ID instead of keys: from a token server on loopback to the emulator's `$cbs` and REST API.
#include "emulator_queue.hpp"
#include "support/error_of.hpp"
#include "support/fake_http_server.hpp"

#include <service_bus/encoding.hpp>
#include <service_bus/entra_tokens.hpp>
#include <service_bus/queue_administration.hpp>

#include <escqrs/testing/catch2.hpp>

#include <boost/json/parse.hpp>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <atomic>
#include <chrono>
#include <future>
#include <mutex>
#include <string>
#include <utility>

namespace {

using namespace std::chrono_literals;
using namespace service_bus;
using namespace service_bus_test;
using Catch::Matchers::Contains;
using HttpReply = FakeHttpServer::Answer;
using Request = FakeHttpServer::Request;

std::optional<HttpReply> silence(const Request& /*request*/) { return std::nullopt; }

/// A token as the emulator takes it, which knows this key.
std::string make_jwt(const std::string& claims, const std::string& key = "entra-key")
{
    const std::string text = base64url(R"({"alg":"HS256","typ":"JWT"})") + "." + base64url(claims);
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned length = 0;
    HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), octets_of(text).data(), text.size(), digest.data(),
         &length);
    return text + "." + base64url(std::span{digest}.first(length));
}

/// A queue, an identity with rights for it, and the server that hands out its tokens, each good for an hour.
struct EntraQueue {
    explicit EntraQueue(const std::string& rights = R"(["Send", "Listen"])") { grant(rights); }

    void grant(const std::string& rights) const
    {
        emulator.control("PUT", "/identities/" + identity, {{"rights", boost::json::parse(rights)}});
    }

    HttpReply token(const std::string& audience = "https://servicebus.azure.net", const std::string& key = "entra-key")
    {
        const auto end =
            std::chrono::floor<std::chrono::seconds>(emulator.clock().now() + 1h).time_since_epoch().count();
        const std::string claims = R"({"aud":")" + audience + R"(","oid":")" + identity + R"(","exp":)" +
                                   std::to_string(end) + R"(,"jti":")" + std::to_string(++tokens) + "\"}";
        return {200, R"({"access_token":")" + make_jwt(claims, key) + R"(","expires_in":3600})"};
    }

    TokenSource source() const
    {
        EntraSettings settings;
        settings.metadata_host = server.url();
        settings.timeout = timeout;
        return make_entra_token_source(EntraIdentity::managed, settings, emulator.clock());
    }

    QueueSettings settings()
    {
        QueueSettings settings = place.settings();
        settings.connection.broker.credentials = {};
        settings.connection.tokens = source();
        settings.connection.log = [this](std::string_view line) {
            const std::scoped_lock lock{mutex};
            log += std::string{line} + "\n";
        };
        settings.sender.timeout = 2s;
        return settings;
    }

    std::string logged()
    {
        const std::scoped_lock lock{mutex};
        return log;
    }

    std::int64_t tokens_put() const { return emulator.stats().at("entraTokensPut").to_number<std::int64_t>(); }
    std::int64_t attaches() const { return emulator.stats().at("attaches").to_number<std::int64_t>(); }

    Emulator& emulator = Emulator::shared();
    std::string identity = emulator.new_name();
    EmulatorQueue place;
    std::atomic<int> tokens{0};
    escqrs::Duration timeout = 10s; ///< of a request for a token
    FakeHttpServer server{[this](const Request&) { return token(); }};
    std::mutex mutex;
    std::string log;
};

/// Sends a message and completes it.
void send_and_complete(MessageQueue& queue, const std::string& id)
{
    send(queue, make_message(id));
    const auto received = receive_all(queue, 1);
    REQUIRE(received.size() == 1);
    CHECK(received[0].message.message_id == id);
    queue.settle(received[0], escqrs::Complete{});
}

} // namespace

TEST_CASE("with a token of Microsoft Entra ID messages go, and a new one is put ahead of its end on the living links")
{
    EntraQueue entra;
    MessageQueue queue{entra.settings()};
    send_and_complete(queue, "first");
    const auto put = entra.tokens_put();
    const auto attaches = entra.attaches();
    CHECK(entra.server.requests().size() == 1); // for all entities
    for (int step = 0; step < 5; ++step) {      // no link is idle for ten minutes
        entra.emulator.advance(9min);
        send_and_complete(queue, "message-" + std::to_string(step));
    }
    CHECK(eventually([&] { return entra.tokens_put() == 2 * put; }));
    CHECK(entra.server.requests().size() == 2);
    CHECK(entra.attaches() == attaches);
    CHECK(queue.health().connections == 1);
    send_and_complete(queue, "second");
    CHECK(entra.logged().empty());
}

TEST_CASE("a token server that refuses or is silent is the reason for not being ready, and ends nothing")
{
    EntraQueue entra;
    entra.timeout = 100ms;
    entra.server.answer_with([](const Request&) { return HttpReply{400, R"({"error":"invalid_request"})"}; });
    MessageQueue queue{entra.settings()};
    const auto has_problem = [&](const std::string& text) {
        return eventually([&] { return queue.health().problem().value_or("").find(text) != std::string::npos; });
    };
    CHECK(has_problem("answers 400: invalid_request"));
    CHECK(has_problem("no token for '" + entra.place.name() + "'"));
    entra.server.answer_with(silence);
    entra.emulator.advance(1min); // the longest pause between two requests
    CHECK(has_problem("no answer within 100 ms"));
    entra.server.answer_with([&](const Request&) { return entra.token(); });
    entra.emulator.advance(1min);
    CHECK(eventually([&] { return queue.health().authorised; }));
    send_and_complete(queue, "m");
}

TEST_CASE("a queue whose token server is silent is closed at once")
{
    EntraQueue entra;
    entra.server.answer_with(silence);
    auto queue = std::make_unique<MessageQueue>(entra.settings());
    REQUIRE(eventually([&] { return !entra.server.requests().empty(); }));
    auto closed = std::async(std::launch::async, [&] { queue.reset(); });
    CHECK(closed.wait_for(5s) == std::future_status::ready); // half the request's time-out
}

TEST_CASE("while a token cannot be renewed the old one serves, the log says why, and a good answer puts it right")
{
    EntraQueue entra;
    MessageQueue queue{entra.settings()};
    send_and_complete(queue, "first");
    const auto put = entra.tokens_put();
    entra.server.answer_with([](const Request&) { return HttpReply{500, {}}; });
    entra.emulator.advance(50min);
    CHECK(eventually([&] { return entra.logged().find("answers 500") != std::string::npos; }));
    CHECK_THAT(entra.logged(), Contains("is not renewed: "));
    send_and_complete(queue, "second");
    CHECK_FALSE(queue.health().problem());
    entra.emulator.advance(11min); // beyond the token's end
    CHECK_THAT(error_of([&] { send(queue, make_message("m")); }), Contains("'" + entra.place.name() + "'"));
    CHECK(eventually([&] { return queue.health().problem().has_value(); }));
    entra.server.answer_with([&](const Request&) { return entra.token(); });
    entra.emulator.advance(2min);
    CHECK(eventually([&] { return entra.tokens_put() > put && queue.health().authorised; }));
    send_and_complete(queue, "third");
}

TEST_CASE("what right an identity lacks is reported, and it is let in when it has got it")
{
    EntraQueue entra{"[]"};
    MessageQueue queue{entra.settings()};
    CHECK_THAT(error_of([&] { send(queue, make_message("m")); }), Contains("'Send' claim(s) are required"));
    entra.grant(R"(["Send", "Listen"])");
    CHECK(eventually([&] { return error_of([&] { send_and_complete(queue, "m"); }).empty(); }));
    CHECK(entra.server.requests().size() == 1); // the token is the same
}

TEST_CASE("a token for something else, or with a wrong signature, is refused, and another one asked for")
{
    EntraQueue entra;
    const bool is_for_other = GENERATE(true, false);
    entra.server.answer_with([&](const Request&) {
        return is_for_other ? entra.token("https://storage.azure.com")
                            : entra.token("https://servicebus.azure.net", "k");
    });
    MessageQueue queue{entra.settings()};
    const std::string reason = is_for_other ? "InvalidAudience" : "InvalidSignature";
    CHECK(eventually([&] { return queue.health().problem().value_or("").find(reason) != std::string::npos; }));
    entra.server.answer_with([&](const Request&) { return entra.token(); });
    entra.emulator.advance(1min); // the server is not asked before that
    CHECK(eventually([&] { return queue.health().authorised; }));
    CHECK_THAT(entra.logged(), !Contains("eyJ"));
    send_and_complete(queue, "m");
}

TEST_CASE("the REST API takes the same token, and says if its identity may not manage")
{
    EntraQueue entra{"[]"};
    const std::string name = entra.emulator.new_name();
    Broker broker = parse_broker("sb://localhost/" + name);
    QueueAdministration administration{broker, entra.emulator.rest_endpoint(), entra.emulator.certificate(),
                                       entra.emulator.clock(), entra.source()};
    CHECK(administration.create_if_missing({}) == EntityCreation::not_allowed);
    entra.grant(R"(["Manage"])");
    CHECK(administration.create_if_missing({}) == EntityCreation::created);
    CHECK(administration.counts() == escqrs::MessageQueueCounts{});
    CHECK(entra.server.requests().size() == 1);
    CHECK_THROWS_AS((QueueAdministration{broker, entra.emulator.rest_endpoint()}), escqrs::TransportError);
}

TEST_CASE("a source that hangs does not stop the connection: it is the reason, and its late answer is taken")
{
    EntraQueue entra;
    std::promise<void> released;
    std::atomic<bool> hangs = false;
    std::atomic<int> asked{0};
    QueueSettings settings = entra.settings();
    settings.connection.tokens = [&, source = entra.source()](const TokenRequest& request) {
        ++asked;
        if (hangs) released.get_future().wait();
        return source(request);
    };
    MessageQueue queue{settings};
    send_and_complete(queue, "first");
    hangs = true;
    entra.emulator.advance(45min);
    REQUIRE(eventually([&] { return asked == 5; })); // one of the four entities' tokens is due first
    entra.emulator.advance(3s);
    CHECK(eventually([&] { return queue.health().last_error.find("does not answer") != std::string::npos; }));
    send_and_complete(queue, "second");
    entra.emulator.fault("drop");
    CHECK(eventually([&] { return queue.health().problem().has_value(); }));
    entra.emulator.advance(3s);
    CHECK(eventually([&] {
        return queue.health().problem().value_or("").find("the token source does not answer") != std::string::npos;
    }));
    hangs = false;
    released.set_value();
    CHECK(eventually([&] { return queue.health().authorised; }));
    send_and_complete(queue, "third");
}

TEST_CASE("a source of the caller's own: what it throws is the reason, whatever it is")
{
    const EmulatorQueue place;
    QueueSettings settings = place.settings();
    settings.connection.broker.credentials = {};
    settings.sender.timeout = 200ms;
    CHECK_THROWS_AS(MessageQueue{settings}, escqrs::TransportError); // without any
    settings.connection.tokens = [](const TokenRequest&) -> AccessToken { throw std::runtime_error{"out of tokens"}; };
    MessageQueue queue{settings};
    CHECK_THAT(error_of([&] { send(queue, make_message("m")); }), Contains("out of tokens"));
}
