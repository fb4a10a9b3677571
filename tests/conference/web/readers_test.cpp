// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "web_fixture.hpp"

#include <escqrs/testing/catch2.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <vector>

using namespace conference;
using namespace conference::test;

namespace {

/// Asks, and reads nothing of the answer.
class SilentClient {
public:
    SilentClient(std::uint16_t port, const std::string& target) : socket_{context_}
    {
        socket_.open(boost::asio::ip::tcp::v4());
        socket_.set_option(boost::asio::socket_base::receive_buffer_size{4096});
        socket_.connect({boost::asio::ip::make_address("127.0.0.1"), port});
        boost::asio::write(socket_, boost::asio::buffer("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n"));
    }

    void wait_for_answer() { socket_.wait(boost::asio::ip::tcp::socket::wait_read); }

private:
    boost::asio::io_context context_;
    boost::asio::ip::tcp::socket socket_;
};

std::size_t unsent_bytes(Client& client)
{
    const std::string text = "\n" + client.request("GET", "/metrics").body;
    const std::string name = "\nconference_http_unsent_bytes ";
    const auto at = text.find(name);
    REQUIRE(at != std::string::npos);
    return static_cast<std::size_t>(std::stod(text.substr(at + name.size())));
}

/// Whether `work` ends although something else is held up; far more time than it needs, and `release` ends it then.
template <class Work, class Release>
bool is_done_meanwhile(Work work, Release release)
{
    auto done = std::async(std::launch::async, work);
    const bool is_done = done.wait_for(std::chrono::seconds{20}) == std::future_status::ready;
    release();
    done.get();
    return is_done;
}

void send_register(Client& client)
{
    client.send("POST /api/attendee/register HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                "Content-Length: 19\r\n\r\n{\"email\":\"a@b.org\"}");
}

std::vector<std::int64_t> versions_of(const json::array& events)
{
    std::vector<std::int64_t> versions;
    for (const auto& event : events) versions.push_back(event.at("version").as_int64());
    return versions;
}

} // namespace

TEST_CASE("clients that do not read cost a page each, and keep no one from registering")
{
    Installation conference;
    const auto path = "/api/attendee/" + conference.attendee_with(4000);
    constexpr std::size_t clients = 100;
    std::vector<std::unique_ptr<SilentClient>> readers;
    for (std::size_t count = 0; count < clients; ++count) {
        readers.push_back(std::make_unique<SilentClient>(conference.role->port(), path + "/stream"));
        readers.push_back(std::make_unique<SilentClient>(conference.role->port(), path + "/history"));
    }
    for (const auto& reader : readers) reader->wait_for_answer();
    auto client = conference.client();
    register_attendee(client);
    constexpr std::size_t page = 48 * 1024; // of these events; all of them are a megabyte
    CHECK(unsent_bytes(client) < 2 * clients * page);
    constexpr std::size_t pages_in_sockets = 8;
    CHECK(static_cast<std::size_t>(conference.failing_store->events_read) < clients * pages_in_sockets * 101);
}

TEST_CASE("a history comes page by page")
{
    Installation conference;
    const auto id = conference.attendee_with(250);
    auto client = conference.client();
    std::vector<std::int64_t> versions;
    std::vector<std::size_t> sizes;
    json::value next = 0;
    while (!next.is_null()) {
        const auto reply = client.request("GET", "/api/attendee/" + id + "/history?after=" + json::serialize(next));
        REQUIRE(reply.status == 200);
        const auto page = versions_of(reply.object().at("events").as_array());
        versions.insert(versions.end(), page.begin(), page.end());
        sizes.push_back(page.size());
        next = reply.object().at("next");
    }
    CHECK(sizes == std::vector<std::size_t>{100, 100, 50});
    REQUIRE(versions.size() == 250);
    for (std::size_t index = 0; index < versions.size(); ++index)
        REQUIRE(versions[index] == static_cast<std::int64_t>(index) + 1);

    const auto end = client.request("GET", "/api/attendee/" + id + "/history?after=250");
    CHECK(end.status == 200);
    CHECK(end.object().at("events").as_array().empty());
    CHECK(end.object().at("next").is_null());
    const std::string nobody = "/api/attendee/00000000-0000-4000-8000-000000000000/history?after=1";
    check_problem(client.request("GET", nobody), 404, "/problems/unknown-attendee");
    check_problem(client.request("GET", "/api/attendee/" + id + "/history?after=-1"), 400,
                  "/problems/malformed-parameter");
}

TEST_CASE("an event stream sends what its client lacks page by page, each from where the last one ended")
{
    Installation conference;
    const auto path = "/api/attendee/" + conference.attendee_with(250) + "/stream";
    const auto follow = [&](const std::string& header, std::vector<std::string> ids, std::int64_t first) {
        auto client = conference.client();
        client.send("GET " + path + " HTTP/1.1\r\nHost: x\r\n" + header + "\r\n");
        client.read_until("\r\n\r\n");
        for (const std::string& id : ids) {
            const auto message = client.read_until("\n\n");
            CHECK_THAT(message, Catch::StartsWith("id: " + id + "\nevent: attendee\ndata: {"));
            const auto data = json::parse(message.substr(message.find('{'))).as_object();
            CHECK(data.at("attendee").at("version").as_int64() == 250);
            for (const std::int64_t version : versions_of(data.at("events").as_array())) REQUIRE(version == first++);
            CHECK(id == std::to_string(first - 1));
        }
    };
    follow("", {"100", "200", "250"}, 1);
    follow("Last-Event-ID: 149\r\n", {"249", "250"}, 150);
    follow("Last-Event-ID: 250\r\n", {"250"}, 251);
}

TEST_CASE("an event stream whose store cannot be read continues when it can be")
{
    Installation conference;
    const auto path = "/api/attendee/" + conference.attendee_with(2) + "/stream";
    conference.failing_store->fails_to_read = true;
    auto client = conference.client();
    client.send("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_THAT(client.read_until("\r\n\r\n"), Catch::Contains("200 OK"));
    conference.failing_store->reads.wait_for_passed(2);
    conference.failing_store->fails_to_read = false;
    const auto message = client.read_until("\n\n");
    CHECK_THAT(message, Catch::StartsWith("id: 2\n") && Catch::Contains("AttendeeRegistered"));
}

TEST_CASE("queries that are held up hold up neither commands nor probes")
{
    Installation conference;
    const auto path = "/api/attendee/" + conference.attendee_with(2);
    conference.failing_store->reads.close();
    std::vector<std::unique_ptr<Client>> readers;
    for (int count = 0; count < 100; ++count) {
        readers.push_back(std::make_unique<Client>(conference.role->port()));
        readers.back()->send("GET " + path + (count % 2 == 0 ? "/history" : "/stream") +
                             " HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    conference.failing_store->reads.wait_for(16);
    CHECK(is_done_meanwhile(
        [&] {
            auto client = conference.client();
            register_attendee(client);
            CHECK(client.request("GET", "/readyz").status == 200);
            CHECK(client.request("GET", "/metrics").status == 200);
        },
        [&] { conference.failing_store->reads.open(); }));
    for (const auto& reader : readers) CHECK_THAT(reader->read_until("\r\n\r\n"), Catch::Contains("200 OK"));
}

TEST_CASE("commands that are held up hold up neither queries nor probes")
{
    Installation conference;
    const auto path = "/api/attendee/" + conference.attendee_with(2);
    conference.failing_store->appends.close();
    std::vector<std::unique_ptr<Client>> writers;
    for (int count = 0; count < 100; ++count) {
        writers.push_back(std::make_unique<Client>(conference.role->port()));
        send_register(*writers.back());
    }
    conference.failing_store->appends.wait_for(64);
    CHECK(is_done_meanwhile(
        [&] {
            auto client = conference.client();
            CHECK(client.request("GET", path).status == 200);
            CHECK(client.request("GET", path + "/history").status == 200);
            CHECK(client.request("GET", "/readyz").status == 200);
        },
        [&] { conference.failing_store->appends.open(); }));
    for (const auto& writer : writers) CHECK(writer->read().status == 202);
}

TEST_CASE("the address of a registration can be asked to change a hundred times")
{
    Installation conference;
    auto client = conference.client();
    const auto path = "/api/attendee/" + conference.attendee_with(101);
    const auto refused = client.request("POST", path + "/email", R"({"email":"b@example.org"})");
    check_problem(refused, 400, "/problems/too-many-email-changes");
    CHECK(text_of(refused.object().at("errors").as_array().at(0).as_object(), "field") == "email");
    CHECK(client.request("DELETE", path, R"({"reason":"ill"})").status == 202);
}
