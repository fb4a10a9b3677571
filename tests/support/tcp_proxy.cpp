// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/core/stop_token.hpp>

#include "support/tcp_proxy.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdexcept>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace {

sockaddr_in loopback(std::uint16_t port)
{
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
}

sockaddr* plain(sockaddr_in& address) { return reinterpret_cast<sockaddr*>(&address); } // NOLINT: the socket API

void prepare(int socket_end)
{
    const int on = 1;
    (void)setsockopt(socket_end, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)fcntl(socket_end, F_SETFL, O_NONBLOCK); // NOLINT(cppcoreguidelines-pro-type-vararg): the socket API
}

} // namespace

TcpProxy::TcpProxy(std::uint16_t server_port)
    : server_port_{server_port}, listener_{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)}
{
    auto address = loopback(0);
    socklen_t length = sizeof address;
    if (listener_ < 0 || bind(listener_, plain(address), sizeof address) != 0 || listen(listener_, 100) != 0 ||
        getsockname(listener_, plain(address), &length) != 0 || pipe2(wake_, O_CLOEXEC | O_NONBLOCK) != 0) {
        throw std::runtime_error{"expected sockets on loopback"};
    }
    port_ = ntohs(address.sin_port);
    thread_ = escqrs::jthread{[this] { run(); }};
}

TcpProxy::~TcpProxy()
{
    {
        const std::scoped_lock lock{mutex_};
        is_ending_ = true;
    }
    wake();
    thread_.join();
    for (const int file : {listener_, wake_[0], wake_[1]}) close(file);
}

void TcpProxy::freeze()
{
    const std::scoped_lock lock{mutex_};
    is_frozen_ = true;
    froze_.notify_all();
}

void TcpProxy::thaw()
{
    {
        const std::scoped_lock lock{mutex_};
        is_frozen_ = false;
    }
    wake();
}

void TcpProxy::freeze_after_request(std::string text)
{
    const std::scoped_lock lock{mutex_};
    request_trigger_ = std::move(text);
    request_tail_.clear();
}

void TcpProxy::freeze_after_answers(std::size_t bytes)
{
    const std::scoped_lock lock{mutex_};
    answers_left_ = bytes;
}

void TcpProxy::wait_until_frozen()
{
    std::unique_lock lock{mutex_};
    froze_.wait_for(lock, std::chrono::seconds{20}, [this] { return is_frozen_; });
}

void TcpProxy::reset()
{
    {
        const std::scoped_lock lock{mutex_};
        wants_reset_ = true;
    }
    wake();
}

void TcpProxy::wake() const { (void)!write(wake_[1], "", 1); }

void TcpProxy::run()
{
    while (true) {
        wait_for_something();
        std::unique_lock lock{mutex_};
        if (is_ending_ || std::exchange(wants_reset_, false)) close_all();
        if (is_ending_) return;
        if (is_frozen_) continue;
        accept_client();
        for (std::size_t index = 0; index < pairs_.size() && !is_frozen_;) {
            Pair& pair = pairs_[index];
            const bool is_alive = pass_on(pair.flows[0]) && (is_frozen_ || pass_on(pair.flows[1]));
            if (is_alive) {
                ++index;
                continue;
            }
            close(pair.client);
            close(pair.server);
            pairs_.erase(pairs_.begin() + static_cast<std::ptrdiff_t>(index));
        }
    }
}

/// While frozen, only to be woken.
void TcpProxy::wait_for_something()
{
    std::vector<pollfd> files{{wake_[0], POLLIN, 0}};
    {
        const std::scoped_lock lock{mutex_};
        if (!is_frozen_) {
            files.push_back({listener_, POLLIN, 0});
            for (const Pair& pair : pairs_) {
                for (const Flow& flow : pair.flows) {
                    if (!flow.unsent.empty()) files.push_back({flow.to, POLLOUT, 0});
                    else if (!flow.has_ended) files.push_back({flow.from, POLLIN, 0});
                }
            }
        }
    }
    (void)poll(files.data(), files.size(), -1);
    std::array<char, 64> bytes{};
    while (read(wake_[0], bytes.data(), bytes.size()) > 0) {}
}

void TcpProxy::accept_client()
{
    for (int client = 0; (client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
        const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        auto address = loopback(server_port_);
        if (connect(server, plain(address), sizeof address) != 0) {
            close(client);
            close(server);
            continue;
        }
        prepare(client);
        prepare(server);
        pairs_.push_back({client, server, {{client, server, false}, {server, client, true}}});
    }
}

/// @return false when the connection has ended
bool TcpProxy::pass_on(Flow& flow)
{
    if (flow.unsent.empty() && !flow.has_ended) {
        std::array<char, 16 * 1024> bytes{};
        const bool is_counted = flow.is_answer && answers_left_ > 0;
        const ssize_t size =
            recv(flow.from, bytes.data(), is_counted ? std::min(bytes.size(), answers_left_) : bytes.size(), 0);
        if (size == 0) {
            flow.has_ended = true;
            (void)shutdown(flow.to, SHUT_WR);
        } else if (size < 0) {
            return errno == EAGAIN;
        } else {
            flow.unsent.assign(bytes.data(), static_cast<std::size_t>(size));
            look_for_trigger(flow, bytes.data(), static_cast<std::size_t>(size));
        }
    }
    if (!flow.unsent.empty()) {
        const ssize_t size = send(flow.to, flow.unsent.data(), flow.unsent.size(), MSG_NOSIGNAL);
        if (size < 0 && errno != EAGAIN) return false;
        if (size > 0) flow.unsent.erase(0, static_cast<std::size_t>(size));
    }
    return !(flow.has_ended && flow.is_answer); // the server has said all
}

void TcpProxy::look_for_trigger(const Flow& flow, const char* bytes, std::size_t size)
{
    if (flow.is_answer) {
        if (answers_left_ == 0) return;
        answers_left_ -= size;
        is_frozen_ = answers_left_ == 0;
    } else if (!request_trigger_.empty()) {
        request_tail_.append(bytes, size);
        is_frozen_ = request_tail_.find(request_trigger_) != std::string::npos;
        if (is_frozen_) request_trigger_.clear();
        else if (request_tail_.size() > request_trigger_.size())
            request_tail_.erase(0, request_tail_.size() - request_trigger_.size());
    }
    if (is_frozen_) froze_.notify_all();
}

void TcpProxy::close_all()
{
    for (const Pair& pair : pairs_) {
        for (const int end : {pair.client, pair.server}) {
            const linger at_once{1, 0};
            (void)setsockopt(end, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
            close(end);
        }
    }
    pairs_.clear();
}
