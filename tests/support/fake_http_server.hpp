// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cctype>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

/// An HTTP server on a loopback port of its own that answers as a test says, and keeps what it was asked. One connection at a
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

    explicit FakeHttpServer(Handler handler) : handler_{std::move(handler)}
    {
        listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* const generic = reinterpret_cast<sockaddr*>(&address);
        if (listener_ < 0 || ::bind(listener_, generic, size) != 0 || ::listen(listener_, 8) != 0 ||
            ::getsockname(listener_, generic, &size) != 0)
            throw std::runtime_error{"cannot listen"};
        port_ = ntohs(address.sin_port);
        thread_ = std::jthread{[this](const std::stop_token& stop) {
            while (wait(listener_, stop)) {
                const int connection = ::accept(listener_, nullptr, nullptr);
                if (connection < 0) continue;
                converse(connection, stop);
                ::close(connection);
            }
        }};
    }
    FakeHttpServer(const FakeHttpServer&) = delete;
    FakeHttpServer& operator=(const FakeHttpServer&) = delete;
    ~FakeHttpServer()
    {
        thread_.request_stop();
        thread_.join();
        ::close(listener_);
    }

    std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

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
    /// Waits for something to read; false if it is time to stop.
    static bool wait(int descriptor, const std::stop_token& stop)
    {
        while (!stop.stop_requested()) {
            pollfd poll{descriptor, POLLIN, 0};
            if (::poll(&poll, 1, 20) > 0) return true;
        }
        return false;
    }

    static bool read_more(int connection, std::string& text, const std::stop_token& stop)
    {
        char bytes[4096];
        if (!wait(connection, stop)) return false;
        const auto count = ::recv(connection, bytes, sizeof bytes, 0);
        if (count > 0) text.append(bytes, static_cast<std::size_t>(count));
        return count > 0;
    }

    void converse(int connection, const std::stop_token& stop)
    {
        std::string text;
        std::size_t end = 0;
        while ((end = text.find("\r\n\r\n")) == std::string::npos) {
            if (!read_more(connection, text, stop)) return;
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
            if (!read_more(connection, text, stop)) return;
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
        while (read_more(connection, rest, stop)) {}
    }

    int listener_ = -1;
    std::uint16_t port_ = 0;
    mutable std::mutex mutex_;
    Handler handler_;
    std::vector<Request> requests_;
    std::jthread thread_;
};
