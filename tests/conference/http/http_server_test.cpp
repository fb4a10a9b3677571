// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "http/http_server.hpp"

#include "client.hpp"

#include <escqrs/testing/catch2.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <future>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/resource.h>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace http;
using conference::test::Client;

Response plain(unsigned status, std::string_view text) { return {status, {}, std::string{text}}; }

/// Answers with what it was asked: the target, a line for each header field, and the body.
void echo(const Request& request, const Responder& responder)
{
    std::string text = request.method + ' ' + request.target + '\n';
    for (const auto& [name, value] : request.headers) text.append(name).append(": ").append(value).append("\n");
    responder.respond(plain(200, text + '\n' + request.body));
}

/// What a server has logged.
class Lines {
public:
    void operator()(std::string_view line)
    {
        const std::scoped_lock lock{*mutex_};
        text_->append(line).append("\n");
    }
    std::string text() const
    {
        const std::scoped_lock lock{*mutex_};
        return *text_;
    }

private:
    std::shared_ptr<std::mutex> mutex_ = std::make_shared<std::mutex>();
    std::shared_ptr<std::string> text_ = std::make_shared<std::string>();
};

HttpServer serve(const HttpServer::Handler& handler, HttpServerOptions options = {})
{
    options.port = 0;
    return {std::move(options), handler, plain};
}

/// The status that `raw` is answered with.
unsigned status_of(const HttpServer& server, const std::string& raw)
{
    Client client{server.port()};
    client.send_what_is_refused(raw);
    return client.read().status;
}

std::string chunked(const std::string& body, const std::string& fields = {})
{
    return "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n" + fields + "\r\n" + body;
}

std::string repeated(std::string_view text, std::size_t times)
{
    std::string all;
    for (std::size_t count = 0; count < times; ++count) all.append(text);
    return all;
}

} // namespace

TEST_CASE("a trailer field is no header field")
{
    const auto server = serve(echo);
    Client client{server.port()};
    client.send(chunked("2;why=not\r\nhi\r\n0\r\nAuthorization: Bearer x\r\nContent-Type: text/plain\r\n\r\n"));
    const auto reply = client.read();
    CHECK(reply.status == 200);
    CHECK(reply.body == "POST /x\nHost: x\nTransfer-Encoding: chunked\n\nhi");
    client.send("GET /next HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(client.read().status == 200);
}

TEST_CASE("what a chunked body has besides its data is limited")
{
    const auto server = serve(echo);
    const std::string last = "0\r\n";
    for (const auto& [what, body] :
         {std::pair<std::string, std::string>{"a trailer field of 70,000 bytes",
                                              last + "X: " + std::string(70'000, 'y') + "\r\n\r\n"},
          {"one of 9,000 bytes", last + "X: " + std::string(9'000, 'y') + "\r\n\r\n"},
          {"200,000 trailer fields", last + repeated("X: y\r\n", 200'000) + "\r\n"},
          {"101 trailer fields", last + repeated("X: y\r\n", 101) + "\r\n"},
          {"an extension of 70,000 bytes", "1;a=" + std::string(70'000, 'b') + "\r\nx\r\n"},
          {"one without an end", "1;a=" + std::string(70'000, 'b')},
          {"one of the last chunk", "0;a=" + std::string(70'000, 'b') + "\r\n\r\n"},
          {"101 extensions", "1" + repeated(";a", 101) + "\r\nx\r\n" + last + "\r\n"},
          {"many chunks, each with one", repeated("1;a\r\nx\r\n", 101) + last + "\r\n"},
          {"many long ones", repeated("1;a=" + std::string(1'000, 'b') + "\r\nx\r\n", 9) + last + "\r\n"}}) {
        CAPTURE(what);
        CHECK(status_of(server, chunked(body)) == 431);
    }
    CHECK(status_of(server, chunked(last + repeated("X: y\r\n", 90) + "\r\n")) == 200);
    CHECK(status_of(server, chunked(repeated("1\r\nx\r\n", 1000) + last + "\r\n")) == 200);
}

TEST_CASE("a request has at most a hundred header fields")
{
    const auto server = serve(echo);
    const auto with = [](std::size_t fields) {
        return "GET / HTTP/1.1\r\nHost: x\r\n" + repeated("X: y\r\n", fields - 1) + "\r\n";
    };
    CHECK(status_of(server, with(100)) == 200);
    CHECK(status_of(server, with(101)) == 431);
}

TEST_CASE("a client that was refused and never stops sending is hung up on")
{
    const auto server = serve(echo);
    Client client{server.port()};
    client.send("no request\r\n\r\n");
    const std::string more(1'000'000, 'x');
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{20};
    bool is_open = true;
    while (is_open && std::chrono::steady_clock::now() < deadline) is_open = client.send_what_is_refused(more);
    CHECK_FALSE(is_open);
}

TEST_CASE("what a handler throws is answered, and ends that connection only")
{
    Lines lines;
    const auto server = serve(
        [](const Request& request, const Responder& responder) {
            if (request.target == "/memory") throw std::bad_alloc{};
            if (request.target == "/unknown") throw 7;
            if (request.target == "/error") throw std::runtime_error{"the reason"};
            if (request.target == "/silent") return;
            responder.respond(plain(200, "well"));
        },
        {.log = lines});
    Client other{server.port()};
    CHECK(other.request("GET", "/").status == 200);
    for (const auto& [target, status] :
         {std::pair{"/memory", 503U}, {"/unknown", 500U}, {"/error", 500U}, {"/silent", 500U}}) {
        CAPTURE(target);
        Client client{server.port()};
        const auto reply = client.request("GET", target);
        CHECK(reply.status == status);
        CHECK(reply.headers.at("Connection") == "close");
        CHECK(reply.headers.at("Date").size() == 29);
        CHECK_FALSE(reply.body.empty());
        CHECK(client.is_closed_by_server());
        CHECK(other.request("GET", "/").status == 200);
    }
    CHECK_THAT(lines.text(), Catch::Contains("no memory") && Catch::Contains("the reason"));
}

TEST_CASE("what fails on another thread is answered as what a handler throws")
{
    std::vector<std::jthread> threads;
    const auto server = serve(
        [&](const Request& request, const Responder& responder) {
            threads.emplace_back([target = request.target, responder] {
                responder.respond_with([&]() -> Response {
                    if (target == "/memory") throw std::bad_alloc{};
                    throw std::runtime_error{"no"};
                });
            });
        },
        {.threads = 1});
    Client memory{server.port()};
    CHECK(memory.request("GET", "/memory").status == 503);
    CHECK(memory.is_closed_by_server());
    Client error{server.port()};
    CHECK(error.request("GET", "/error").status == 500);
    CHECK(error.is_closed_by_server());
}

TEST_CASE("no exception leaves a thread of the server")
{
    Lines lines;
    std::atomic<int> closed{0};
    auto server = serve(
        [&](const Request&, const Responder& responder) {
            const auto close = [&] {
                ++closed;
                throw std::runtime_error{"closing went wrong"};
            };
            responder.stream({}, {.sent = {}, .closed = close})->send("begun\n\n");
        },
        {.log = lines});
    Client client{server.port()};
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    client.read_until("begun\n\n");
    server.stop(std::chrono::seconds{5});
    CHECK(closed == 1);
    CHECK_THAT(lines.text(), Catch::Contains("closing went wrong"));
}

TEST_CASE("responders and event streams may outlive their server")
{
    std::vector<Responder> waiting;
    std::shared_ptr<EventStream> stream;
    std::promise<void> asked;
    int closed = 0;
    {
        const auto server = serve(
            [&](const Request& request, const Responder& responder) {
                if (request.target != "/stream") {
                    waiting.assign(3, responder);
                    return asked.set_value();
                }
                stream = responder.stream({}, {.sent = {}, .closed = [&] { ++closed; }});
                stream->send("begun\n\n");
            },
            {.threads = 1});
        Client streaming{server.port()};
        streaming.send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
        streaming.read_until("begun\n\n");
        Client client{server.port()};
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        asked.get_future().wait();
    }
    CHECK(closed == 1);
    CHECK_FALSE(stream->is_open());
    stream->send("to no one");
    waiting.front().respond(plain(200, "to no one"));
    CHECK_FALSE(waiting.back().stream({}, {.sent = {}, .closed = [&] { ++closed; }})->is_open());
    CHECK(closed == 2);
}

TEST_CASE("an event stream takes no text beyond its limit, not even as its first")
{
    std::promise<void> closed;
    const auto server = serve([&](const Request&, const Responder& responder) {
        const auto stream = responder.stream({}, {.sent = {}, .closed = [&] { closed.set_value(); }});
        stream->send(std::string(257 * 1024, 'x'));
        CHECK_FALSE(stream->is_open());
        stream->send("no more");
    });
    Client client{server.port()};
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_THAT(client.read_until("\r\n\r\n"), Catch::Contains("200 OK"));
    CHECK(client.is_closed_by_server());
    closed.get_future().wait();
    CHECK(server.unsent_counter()() == 0); // the text was never taken
}

TEST_CASE("an event stream asks for more when the client's socket has taken what was sent")
{
    constexpr std::size_t size = 20'000;
    constexpr int texts = 200;
    std::shared_ptr<EventStream> stream;
    std::atomic<int> sent{0};
    std::promise<void> closed;
    const auto server = serve(
        [&](const Request&, const Responder& responder) {
            const auto more = [&] {
                if (++sent < texts) stream->send(std::string(size - 1, 'x') + '\n');
            };
            const auto let_go = [&] {
                stream.reset();
                closed.set_value();
            };
            stream = responder.stream({}, {.sent = more, .closed = let_go});
            stream->send(std::string(size - 1, 'x') + '\n');
        },
        {.threads = 1});
    const auto unsent = server.unsent_counter();
    {
        Client client{server.port()};
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        client.read_until("\r\n\r\n");
        for (int count = 0; count < texts; ++count) {
            REQUIRE(unsent() <= size);
            REQUIRE(client.read_until("\n").size() == size);
        }
        CHECK(sent >= texts - 1);
    }
    closed.get_future().wait();
    while (unsent() != 0) std::this_thread::yield();
}

TEST_CASE("a handler knows the client's address")
{
    const auto server = serve(
        [](const Request& request, const Responder& responder) { responder.respond(plain(200, request.client)); });
    CHECK(Client{server.port()}.request("GET", "/").body == "127.0.0.1");
}

TEST_CASE("a server listens on an address or a name, and says on which it cannot")
{
    const auto named = serve(echo, {.address = "localhost"});
    CHECK(Client{named.port()}.request("GET", "/").status == 200);
    const auto serve_at = [](std::string address, std::uint16_t port) {
        HttpServer{{.address = std::move(address), .port = port}, echo, plain};
    };
    CHECK_THROWS_WITH(serve_at("no.such.host.invalid", 8080),
                      Catch::StartsWith("cannot listen on no.such.host.invalid:8080: Host not found"));
    CHECK_THROWS_WITH(serve_at("127.0.0.1", named.port()),
                      Catch::StartsWith("cannot listen on 127.0.0.1:" + std::to_string(named.port()) + ": "));
}

TEST_CASE("a server that may have more connections than files says so when it starts, and takes fewer")
{
    struct LimitedFiles {
        explicit LimitedFiles(rlim_t files)
        {
            REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
            const rlimit now{files, before.rlim_max};
            REQUIRE(setrlimit(RLIMIT_NOFILE, &now) == 0);
        }
        LimitedFiles(const LimitedFiles&) = delete;
        LimitedFiles& operator=(const LimitedFiles&) = delete;
        ~LimitedFiles() { setrlimit(RLIMIT_NOFILE, &before); }
        rlimit before{};
    };
    std::vector<std::string> lines;
    HttpServerOptions options;
    options.log = [&](std::string_view line) { lines.emplace_back(line); };
    const LimitedFiles limited{1000};
    {
        options.max_connections = 744;
        const auto server = serve(echo, options);
        CHECK(lines.empty());
    }
    options.max_connections = 745;
    const auto server = serve(echo, options);
    CHECK(lines == std::vector<std::string>{
                       "http: the limit of open files is 1000, which allows 744 connections instead of 745"});
}
