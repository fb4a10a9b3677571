// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/stop_token.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>

/// A TCP server on its own loopback port, with its own thread. One connection at a time.
class LoopbackServer {
public:
    /// Speaks with a client until one of the two has enough, or `stop` is requested.
    using Conversation = std::function<void(int connection, const escqrs::stop_token& stop)>;

    explicit LoopbackServer(Conversation conversation)
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
        thread_ = escqrs::jthread{[this, conversation = std::move(conversation)](const escqrs::stop_token& stop) {
            while (wait(listener_, stop)) {
                const int connection = ::accept(listener_, nullptr, nullptr);
                if (connection < 0) continue;
                conversation(connection, stop);
                ::close(connection);
            }
        }};
    }
    LoopbackServer(const LoopbackServer&) = delete;
    LoopbackServer& operator=(const LoopbackServer&) = delete;
    ~LoopbackServer()
    {
        thread_.request_stop();
        thread_.join();
        ::close(listener_);
    }

    std::uint16_t port() const noexcept { return port_; }

    /// Waits for something to read; false if it is time to stop.
    static bool wait(int descriptor, const escqrs::stop_token& stop)
    {
        while (!stop.stop_requested()) {
            pollfd poll{descriptor, POLLIN, 0};
            if (::poll(&poll, 1, 20) > 0) return true;
        }
        return false;
    }

    /// Appends what the client sends next; false if it has closed the connection, or if it is time to stop.
    static bool read_more(int connection, std::string& text, const escqrs::stop_token& stop)
    {
        char bytes[4096];
        if (!wait(connection, stop)) return false;
        const auto count = ::recv(connection, bytes, sizeof bytes, 0);
        if (count > 0) text.append(bytes, static_cast<std::size_t>(count));
        return count > 0;
    }

private:
    int listener_ = -1;
    std::uint16_t port_ = 0;
    escqrs::jthread thread_;
};
