// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/error_of.hpp"
#include "support/fake_http_server.hpp"
#include "support/fake_resolver.hpp"

#include <service_bus/http_request.hpp>

#include <escqrs/testing/catch2.hpp>

#include <chrono>
#include <cstdlib>
#include <future>
#include <optional>
#include <stop_token>
#include <string>

namespace {

using namespace service_bus;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

const std::string hanging_url = std::string{"https://"} + HangingResolver::name;

/// Sets a variable of the environment for as long as it lives, or unsets it.
class Variable {
public:
    Variable(const char* name, const std::optional<std::string>& value) : name_{name}
    {
        if (const char* const before = std::getenv(name)) before_ = before; // NOLINT(concurrency-mt-unsafe)
        set(value);
    }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;
    ~Variable() { set(before_); }

private:
    void set(const std::optional<std::string>& value) const
    {
        if (value) ::setenv(name_, value->c_str(), 1); // NOLINT(concurrency-mt-unsafe): nothing else runs
        else ::unsetenv(name_);                        // NOLINT(concurrency-mt-unsafe)
    }

    const char* name_;
    std::optional<std::string> before_;
};

/// Has all requests go through a proxy, as far as the environment decides it.
struct ProxyForAll {
    explicit ProxyForAll(const FakeHttpServer& proxy)
        : http{"http_proxy", proxy.url()}, https{"https_proxy", proxy.url()}, all{"all_proxy", proxy.url()}
    {
    }

    Variable http;
    Variable https;
    Variable all;
    Variable none{"no_proxy", {}};
    Variable none_either{"NO_PROXY", {}};
};

} // namespace

TEST_CASE("a request's time limit holds while the look-up of its name hangs")
{
    const HangingResolver resolver;
    CHECK_THAT(error_of([] { (void)send_http({"GET", hanging_url}, 50ms); }), Contains("no answer within 50 ms"));
    CHECK(resolver.all_hang());
}

TEST_CASE("a stop ends a request while the look-up of its name hangs")
{
    const HangingResolver resolver;
    std::stop_source stop;
    auto error = std::async(std::launch::async, [&] {
        return error_of([&] { (void)send_http({"GET", hanging_url}, 1h, stop.get_token()); });
    });
    resolver.wait_for_lookups(1);
    stop.request_stop();
    CHECK_THAT(error.get(), Contains("stopped"));
    CHECK(resolver.all_hang());
}

TEST_CASE("a request ends at once when it is stopped")
{
    std::promise<void> asked;
    FakeHttpServer server{[&](const FakeHttpServer::Request&) {
        asked.set_value();
        return std::optional<FakeHttpServer::Answer>{};
    }};
    std::stop_source stop;
    auto answer = std::async(std::launch::async, [&] {
        return error_of([&] { (void)send_http({"GET", server.url()}, 1h, stop.get_token()); });
    });
    asked.get_future().wait();
    stop.request_stop();
    CHECK_THAT(answer.get(), Contains("stopped"));
}

TEST_CASE("only TLS leaves this machine, and no URL names a user")
{
    const auto error = [](const std::string& url, PlainHttp plain = PlainHttp::this_machine) {
        return error_of([&] { require_private(url, "the address", plain); });
    };
    for (const char* url : {"https://namespace.example", "HTTPS://namespace.example:444/path", "http://127.0.0.1:5300",
                            "http://LOCALHOST/path", "http://[::1]:80", "http://127.1", "http://[::ffff:127.0.0.1]"}) {
        CAPTURE(url);
        CHECK(error(url).empty());
    }
    for (const char* url :
         {"http://namespace.example", "http://127.0.0.1.example", "http://localhost.example",
          "http://127.0.0.1@example", "http://example#@127.0.0.1", "http://example\\@127.0.0.1", "http://0.0.0.0",
          "http://[::]", "http://128.0.0.1", "http://169.254.169.254", "https://user:password@namespace.example",
          "ftp://127.0.0.1", "127.0.0.1", "", "https://"}) {
        CAPTURE(url);
        CHECK_THAT(error(url), Contains("the address: expected https://host, or http:// with a loopback address"));
        CHECK_THAT(error_of([&] { (void)send_http({"GET", url}, 1ms); }), Contains("GET: expected https://host"));
    }
    CHECK_THAT(error("http://user:password@namespace.example/path"),
               Contains("found 'http://namespace.example' with a user") && !Contains("password@"));
    CHECK(error("http://169.254.169.254/path", PlainHttp::link_local_too).empty());
    for (const char* url : {"http://169.254.169.254.example", "http://169.255.0.1", "http://10.0.0.1"})
        CHECK_THAT(error(url, PlainHttp::link_local_too), Contains("or a link-local one"));
    for (const char* url : {"http://127.0.0.1", "http://169.254.131.2", "http://10.0.0.1", "http://172.16.1.3:8081/msi",
                            "http://172.31.255.255", "http://192.168.0.1", "http://100.64.100.2", "http://100.127.0.1",
                            "http://[::ffff:10.0.0.1]"}) {
        CAPTURE(url);
        CHECK(error(url, PlainHttp::private_network_too).empty());
    }
    for (const char* url :
         {"http://11.0.0.1", "http://172.15.0.1", "http://172.32.0.1", "http://192.169.0.1", "http://100.63.0.1",
          "http://100.128.0.1", "http://10.0.0.1.example", "http://10.0.0.1@namespace.example"}) {
        CAPTURE(url);
        CHECK_THAT(error(url, PlainHttp::private_network_too), Contains("or one of a private network"));
    }
}

TEST_CASE("a proxy gets no request that it could read")
{
    const FakeHttpServer proxy{[](const FakeHttpServer::Request&) { return FakeHttpServer::Answer{403, "proxy"}; }};
    const FakeHttpServer server{[](const FakeHttpServer::Request&) { return FakeHttpServer::Answer{200, "server"}; }};
    const ProxyForAll environment{proxy};
    CHECK(send_http({"GET", server.url()}, 10s).body == "server");
    CHECK(proxy.requests().empty());
    (void)error_of([] { (void)send_http({"GET", "https://namespace.invalid"}, 10s); });
    CHECK(proxy.requests().size() == 1); // the environment counts
}

TEST_CASE("a proxy gets no request for a private network's token service, also not over TLS")
{
    const FakeHttpServer proxy{[](const FakeHttpServer::Request&) { return FakeHttpServer::Answer{403, "proxy"}; }};
    const ProxyForAll environment{proxy};
    HttpRequest request{"GET", GENERATE("http://100.127.255.254:1", "https://100.127.255.254:1")};
    request.plain_http = PlainHttp::private_network_too;
    (void)error_of([&] { (void)send_http(request, 200ms); }); // nothing need be there
    CHECK(proxy.requests().empty());
}

TEST_CASE("a header of two lines is not sent, and not shown")
{
    const FakeHttpServer server{[](const FakeHttpServer::Request&) { return FakeHttpServer::Answer{}; }};
    const HttpRequest request{"GET", server.url(), {"Authorization: Bearer to\r\nken"}};
    const std::string error = error_of([&] { (void)send_http(request, 10s); });
    CHECK_THAT(error, Contains("the header 'Authorization' holds a control character") && !Contains("ken"));
    CHECK(server.requests().empty());
}
