// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "client.hpp"
#include "http/field_values.hpp"
#include "http/http_server.hpp"

#include <escqrs/testing/catch2.hpp>

#include <chrono>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace {

using namespace http;
using conference::test::Client;
using conference::test::Reply;

Response plain(unsigned status, std::string_view text) { return {status, {}, std::string{text}}; }

/// Answers each request with its target.
HttpServer serve()
{
    return {{.port = 0},
            [](const Request& request, const Responder& responder) { responder.respond(plain(200, request.target)); },
            plain};
}

/// The answer to `raw`, which is sent over its own connection.
Reply answer(const HttpServer& server, const std::string& raw)
{
    Client client{server.port()};
    client.send(raw);
    return client.read();
}

std::string get(const std::string& fields, const std::string& target = "/", const std::string& version = "1.1")
{
    return "GET " + target + " HTTP/" + version + "\r\n" + fields + "\r\n";
}

std::string post(const std::string& fields, const std::string& body, const std::string& version = "1.1")
{
    return "POST / HTTP/" + version + "\r\nHost: x\r\n" + fields + "\r\n" + body;
}

} // namespace

TEST_CASE("a request names its host, once")
{
    const auto server = serve();
    for (const char* fields : {"", "Host: x\r\nHost: x\r\n", "Host: x\r\nhost: y\r\n", "Host: a b\r\n",
                               "Host: x, y\r\n", "Host: user@x\r\n", "Host: x/path\r\n", "Host: x:port\r\n"}) {
        CAPTURE(fields);
        CHECK(answer(server, get(fields)).status == 400);
    }
    for (const char* fields :
         {"Host: x\r\n", "host:x:8080\r\n", "Host: [::1]:80\r\n", "Host: 127.0.0.1\r\n", "Host:\r\n"}) {
        CAPTURE(fields);
        CHECK(answer(server, get(fields)).status == 200);
    }
    CHECK(answer(server, get("", "/", "1.0")).status == 200);
    CHECK(answer(server, get("Host: x\r\nHost: x\r\n", "/", "1.0")).status == 400);
}

TEST_CASE("a target may name scheme and host")
{
    const auto server = serve();
    const std::string host = "Host: other\r\n";
    for (const auto& [target, path] : {std::pair{"http://example.org/a?b=c", "/a?b=c"},
                                       {"HTTP://example.org:8080/a%20b", "/a%20b"},
                                       {"https://[::1]/", "/"},
                                       {"http://example.org", "/"},
                                       {"http://example.org?b=c", "/?b=c"}}) {
        CAPTURE(target);
        const auto reply = answer(server, get(host, target));
        CHECK(reply.status == 200);
        CHECK(reply.body == path);
    }
    for (const char* target : {"ftp://example.org/", "http:///a", "http://user@example.org/", "http:/a"}) {
        CAPTURE(target);
        CHECK(answer(server, get(host, target)).body == target); // no path: the router refuses it
    }
}

TEST_CASE("the length of a body is given in one way, and unambiguously")
{
    const auto server = serve();
    const std::string chunked = "Transfer-Encoding: chunked\r\n";
    const std::string chunks = "2\r\nhi\r\n0\r\n\r\n";
    CHECK(answer(server, post("Content-Length: 2\r\n", "hi")).status == 200);
    CHECK(answer(server, post(chunked, chunks)).status == 200);
    CHECK(answer(server, post("Transfer-Encoding: Chunked\r\n", chunks)).status == 200);
    for (const std::string& fields :
         {std::string{"Content-Length: 2, 2\r\n"}, std::string{"Content-Length: 2\r\nContent-Length: 2\r\n"},
          std::string{"Content-Length: 2,\r\n"}, std::string{"Content-Length:\r\n"},
          std::string{"Content-Length: +2\r\n"}, std::string{"Content-Length:\r\n 2\r\n"}}) {
        CAPTURE(fields);
        CHECK(answer(server, post(fields, "hi")).status == 400);
    }
    for (const char* fields : {"Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding: xchunked\r\n",
                               "Transfer-Encoding: identity\r\n", "Transfer-Encoding: chunked;q=1\r\n"}) {
        CAPTURE(fields);
        CHECK(answer(server, post(fields, chunks)).status == 501);
    }
    for (const std::string& fields :
         {"Content-Length: 2\r\n" + chunked, chunked + "Content-Length: 2\r\n", chunked + chunked,
          std::string{"Transfer-Encoding: gzip\r\n"} + chunked, std::string{"Transfer-Encoding:\r\n chunked\r\n"}}) {
        CAPTURE(fields);
        CHECK(answer(server, post(fields, chunks)).status == 400);
    }
    CHECK(answer(server, post(chunked, chunks, "1.0")).status == 400);
}

TEST_CASE("what another server may read in another way is refused, and nothing after it is read")
{
    const auto server = serve();
    const std::string next = get("Host: x\r\n", "/next");
    const auto refuses = [&](const std::string& raw) {
        Client client{server.port()};
        client.send(raw + next);
        CAPTURE(raw);
        const auto status = client.read().status;
        CHECK((status == 400 || status == 413));
        CHECK(client.is_closed_by_server());
    };
    for (const char* head : {"10000000000000002\r\n", "FFFFFFFFFFFFFFFF\r\n", " 2\r\n", "2 \r\n", "2\t\r\n", "0x2\r\n",
                             "+2\r\n", "-2\r\n", "\r\n", "2\n", "2;a\nb\r\n", "2;a=\"\r\n\"\r\n", "2;a\rb\r\n"}) {
        refuses(post("Transfer-Encoding: chunked\r\n", std::string{head} + "hi\r\n0\r\n\r\n"));
    }
    for (const char* rest : {"hi\n0\r\n\r\n", "hi0\r\n\r\n", "hi!\r\n0\r\n\r\n", "hi\r\n0 \r\n\r\n", "hi\r\n0\n\n",
                             "hi\r\n0\r\nX: y\n\r\n", "hi\r\n0\r\nX y: z\r\n\r\n"}) {
        refuses(post("Transfer-Encoding: chunked\r\n", std::string{"2\r\n"} + rest));
    }
    for (const char* field : {"X Y: z", "X : z", "X\t: z", ": z", "X", "X(y): z", "\xC3\xA4: z", "X: a\nY: b",
                              "X: a\rb", "Transfer-Encoding:\vchunked", "Content-Length: 0 2", "Content-Length: 0x2"}) {
        refuses(get("Host: x\r\n" + std::string{field} + "\r\n"));
    }
    for (const char* line :
         {"GET  / HTTP/1.1", "GET\t/ HTTP/1.1", "GET / HTTP/1.1 ", "GET /a b HTTP/1.1", "GET / http/1.1",
          "GET / HTTP/1.10", "GET / HTTP/1.2", " / HTTP/1.1", "\r\nGET / HTTP/1.1", "PRI * HTTP/2.0"}) {
        refuses(std::string{line} + "\r\nHost: x\r\n\r\n");
    }
    refuses("GET / HTTP/1.1\nHost: x\n\n");
}

TEST_CASE("no field continues on the next line")
{
    const auto server = serve();
    for (const char* fields : {"Host: x\r\nX: a\r\n b\r\n", "Host: x\r\nX: a\r\n\tb\r\n", "Host: x\r\nX: a\r\n \r\n",
                               "Host: x\r\nX:\r\n a\r\n", "Host: x\r\nX:\r\n \r\n", "Host:\r\n x\r\n"}) {
        CAPTURE(fields);
        CHECK(answer(server, get(fields)).status == 400);
    }
    CHECK(answer(server, post("Transfer-Encoding: chunked\r\n", "0\r\nX: a\r\n b\r\n\r\n")).status == 400);
    CHECK(answer(server, post("Content-Length: 4\r\n", "\r\n x")).status == 200);
}

TEST_CASE("a field that stands for one value stands there once")
{
    const auto server = serve();
    CHECK(answer(server, get("Host: x\r\nAuthorization: a\r\nAuthorization: b\r\n")).status == 400);
    CHECK(answer(server, get("Host: x\r\nContent-Type: a/b\r\nContent-Type: a/c\r\n")).status == 400);
}

TEST_CASE("the one expectation that can be met is a 100, in any case of letters")
{
    const auto server = serve();
    for (const char* fields : {"Expect: 100-continue\r\n", "expect: 100-Continue\r\n"}) {
        CAPTURE(fields);
        Client client{server.port()};
        client.send(post(std::string{fields} + "Content-Length: 2\r\n", ""));
        CHECK(client.read().status == 100);
        client.send("hi");
        CHECK(client.read().status == 200);
    }
    for (const char* fields : {"Expect: 200-ok\r\n", "Expect: 100-continue, other\r\n",
                               "Expect: 100-continue\r\nExpect: other\r\n", "Expect:\r\n"}) {
        CAPTURE(fields);
        CHECK(answer(server, post(std::string{fields} + "Content-Length: 2\r\n", "")).status == 417);
    }
    CHECK(answer(server, post("Expect: 100-continue\r\nContent-Length: 2\r\n", "hi", "1.0")).status == 200);
    CHECK(answer(server, post("Expect: 100-continue\r\nContent-Length: 70000\r\n", "")).status == 413);
}

TEST_CASE("a header is limited as a whole, however it arrives")
{
    const auto server = serve();
    Client client{server.port()};
    client.send("GET / HTTP/1.1\r\nHost: x\r\nA");
    for (int field = 0; field < 3; ++field) { // each ends within the next one's name, so that no piece is too large
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
        client.send(": " + std::string(7'000, 'y') + "\r\nA");
    }
    client.send(": b\r\n\r\n");
    CHECK(client.read().status == 431);
}

TEST_CASE("a client of HTTP/1.0 is not left to wait for more")
{
    const auto server = serve();
    const auto reply = answer(server, get("Connection: keep-alive\r\n", "/", "1.0"));
    CHECK(reply.status == 200);
    CHECK(reply.headers.at("Connection") == "close");
}

TEST_CASE("every answer has its date, and is not to be sniffed")
{
    const auto server = serve();
    for (const auto& raw : {get("Host: x\r\n"), get(""), get("Host: x\r\n", "/", "7"),
                            std::string{"\x16\x03\x01\r\n\r\n"}, post("Content-Length: 70000\r\n", "")}) {
        CAPTURE(raw);
        const auto reply = answer(server, raw);
        CHECK(reply.headers.at("X-Content-Type-Options") == "nosniff");
        const auto& date = reply.headers.at("Date");
        CHECK(date.size() == 29);
        CHECK_THAT(date, Catch::Matches("(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{2} [A-Z][a-z]{2} [0-9]{4} "
                                        "[0-9]{2}:[0-9]{2}:[0-9]{2} GMT"));
    }
}

TEST_CASE("a client has what one of its tags names")
{
    const auto with = [](Headers headers) { return Request{"GET", "/", std::move(headers), {}}; };
    const std::string tag = R"("a,b")";
    for (const char* list : {"*", R"("a,b")", R"(W/"a,b")", R"("x", "a,b")", R"(W/"x",W/"a,b", "y")", R"( , "a,b",)"}) {
        CAPTURE(list);
        CHECK(is_unchanged(with({{"if-none-match", list}}), tag));
    }
    for (const char* list : {"", "a,b", R"("a)", R"("b")", R"(w/"a,b")", R"("a" b")", R"("a, "b")", R"(x "a,b")"}) {
        CAPTURE(list);
        CHECK_FALSE(is_unchanged(with({{"If-None-Match", list}}), tag));
    }
    CHECK(is_unchanged(with({{"If-None-Match", R"("x")"}, {"If-None-Match", tag}}), tag));
    CHECK_FALSE(is_unchanged(with({}), tag));
}
