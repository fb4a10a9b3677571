// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include <cstdint>
#include <ios>
#include <map>
#include <string>

namespace conference::test {

struct Reply {
    unsigned status = 0;
    std::map<std::string, std::string> headers;
    std::string body;

    boost::json::object object() const { return boost::json::parse(body).as_object(); }
};

/// One connection to the server, blocking.
class Client {
public:
    /// @param from  the client's own address, if it matters
    explicit Client(std::uint16_t port, const std::string& from = {}) : socket_{context_}
    {
        socket_.open(boost::asio::ip::tcp::v4());
        if (!from.empty()) socket_.bind({boost::asio::ip::make_address(from), 0});
        socket_.connect({boost::asio::ip::make_address("127.0.0.1"), port});
    }

    Reply request(const std::string& method, const std::string& target, const std::string& body = {},
                  const std::map<std::string, std::string>& headers = {})
    {
        boost::beast::http::request<boost::beast::http::string_body> message;
        message.method_string(method);
        message.target(target);
        message.version(11);
        message.set(boost::beast::http::field::host, "localhost");
        if (!body.empty()) message.set(boost::beast::http::field::content_type, "application/json");
        for (const auto& [name, value] : headers) message.set(name, value);
        message.body() = body;
        message.prepare_payload();
        boost::beast::http::write(socket_, message);
        return read(method == "HEAD");
    }

    void send(const std::string& raw) { boost::asio::write(socket_, boost::asio::buffer(raw)); }

    /// Sends what the server may refuse, and hang up on, before it has read the whole of it.
    /// @return false if it has hung up
    bool send_what_is_refused(const std::string& raw)
    {
        boost::system::error_code hung_up;
        boost::asio::write(socket_, boost::asio::buffer(raw), hung_up);
        return !hung_up;
    }

    Reply read(bool is_head = false)
    {
        boost::beast::http::response_parser<boost::beast::http::string_body> parser;
        parser.skip(is_head);
        boost::beast::http::read(socket_, buffer_, parser);
        Reply reply{parser.get().result_int(), {}, parser.get().body()};
        for (const auto& field : parser.get())
            reply.headers[std::string{field.name_string()}] = std::string{field.value()};
        return reply;
    }

    /// Reads raw text up to and with `end`.
    std::string read_until(const std::string& end)
    {
        const auto size = boost::asio::read_until(socket_, raw_, end);
        std::string text(size, '\0');
        raw_.sgetn(text.data(), static_cast<std::streamsize>(size));
        return text;
    }

    bool is_closed_by_server()
    {
        char byte = 0;
        boost::system::error_code error;
        socket_.read_some(boost::asio::buffer(&byte, 1), error);
        return error.failed();
    }

private:
    boost::asio::io_context context_;
    boost::asio::ip::tcp::socket socket_;
    boost::beast::flat_buffer buffer_;
    boost::asio::streambuf raw_;
};

} // namespace conference::test
