// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/stop_token.hpp>

#include "loopback_server.hpp"

#include <sys/socket.h>

#include <cctype>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// An HTTP server on its own loopback port that answers as a test says, and keeps the requests. One connection at a
/// time, and one request over each.
class FakeHttpServer {
public:
    struct Request {
        std::string method;
        std::string target;
        std::string header; ///< the lines, in lower case
        std::string body;
    };
    struct Answer {
        int status = 200;
        std::string body;
        std::string header = {}; ///< lines, each with its end
    };
    /// Nothing: the server stays silent until the client gives up.
    using Handler = std::function<std::optional<Answer>(const Request&)>;

    explicit FakeHttpServer(Handler handler) : handler_{std::move(handler)} {}

    std::string url() const { return "http://127.0.0.1:" + std::to_string(server_.port()); }

    void answer_with(Handler handler)
    {
        const std::scoped_lock lock{mutex_};
        handler_ = std::move(handler);
    }

    std::vector<Request> requests() const
    {
        const std::scoped_lock lock{mutex_};
        return requests_;
    }

private:
    void converse(int connection, const escqrs::stop_token& stop)
    {
        std::string text;
        std::size_t end = 0;
        while ((end = text.find("\r\n\r\n")) == std::string::npos) {
            if (!LoopbackServer::read_more(connection, text, stop)) return;
        }
        Request request;
        request.header = text.substr(0, end + 2);
        const auto first = request.header.find(' ');
        const auto second = request.header.find(' ', first + 1);
        request.method = request.header.substr(0, first);
        request.target = request.header.substr(first + 1, second - first - 1);
        for (char& c : request.header) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        std::size_t length = 0;
        if (const auto at = request.header.find("\r\ncontent-length: "); at != std::string::npos)
            length = std::strtoul(request.header.c_str() + at + 18, nullptr, 10);
        while (text.size() < end + 4 + length) {
            if (!LoopbackServer::read_more(connection, text, stop)) return;
        }
        request.body = text.substr(end + 4);
        Handler handler;
        {
            const std::scoped_lock lock{mutex_};
            requests_.push_back(request);
            handler = handler_;
        }
        if (const auto answer = handler(request)) {
            const std::string reply = "HTTP/1.1 " + std::to_string(answer->status) + " X\r\nConnection: close\r\n" +
                                      answer->header + "Content-Length: " + std::to_string(answer->body.size()) +
                                      "\r\n\r\n" + answer->body;
            (void)::send(connection, reply.data(), reply.size(), MSG_NOSIGNAL);
        }
        std::string rest; // until the client has gone
        while (LoopbackServer::read_more(connection, rest, stop)) {}
    }

    mutable std::mutex mutex_;
    Handler handler_;
    std::vector<Request> requests_;
    LoopbackServer server_{[this](int connection, const escqrs::stop_token& stop) {
        converse(connection, stop);
    }}; ///< last: it ends before what it uses
};
