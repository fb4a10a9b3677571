// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "http_server.hpp"

#include "connection.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>

namespace conference::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

bool same_name(std::string_view left, std::string_view right) noexcept
{
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return std::ranges::equal(left, right, {}, lower, lower);
}

} // namespace

std::string_view Request::header(std::string_view name) const noexcept
{
    for (const auto& [key, value] : headers) {
        if (same_name(key, name)) return value;
    }
    return {};
}

class HttpServer::Implementation {
public:
    Implementation(HttpServerOptions options, Handler handler, Refusal refusal)
        : shared_{std::move(options), std::move(handler), std::move(refusal)},
          context_{static_cast<int>(shared_.options.threads)}, acceptor_{asio::make_strand(context_)}
    {
        listen();
        asio::co_spawn(acceptor_.get_executor(), accept(), asio::detached);
        for (unsigned thread = 0; thread < shared_.options.threads; ++thread) {
            threads_.emplace_back([this] { context_.run(); });
        }
    }

    ~Implementation() { stop(std::chrono::milliseconds{0}); } // NOLINT(bugprone-exception-escape): nobody to tell

    std::uint16_t port() const noexcept { return port_; }
    std::function<std::size_t()> connection_counter() const
    {
        return [open = shared_.open] { return open->load(); };
    }

    void stop(std::chrono::milliseconds patience)
    {
        if (threads_.empty()) return;
        shared_.stopping = true;
        asio::post(acceptor_.get_executor(), [this] { acceptor_.close(); });
        std::vector<std::shared_ptr<Connection>> alive; // let go without the lock, which their destructors take
        {
            const std::scoped_lock lock{shared_.mutex};
            for (Connection* const connection : shared_.connections)
                alive.push_back(connection->weak_from_this().lock());
        }
        for (const auto& connection : alive) {
            if (connection) connection->stop();
        }
        alive.clear();
        {
            std::unique_lock lock{shared_.mutex};
            shared_.emptied.wait_for(lock, patience, [this] { return shared_.connections.empty(); });
        }
        context_.stop();
        threads_.clear();
    }

private:
    void listen()
    {
        const auto& options = shared_.options;
        try {
            const tcp::endpoint endpoint{asio::ip::make_address(options.address), options.port};
            acceptor_.open(endpoint.protocol());
            acceptor_.set_option(asio::socket_base::reuse_address{true});
            acceptor_.bind(endpoint);
            acceptor_.listen(asio::socket_base::max_listen_connections);
            port_ = acceptor_.local_endpoint().port();
        } catch (const boost::system::system_error& error) {
            throw std::system_error{error.code(),
                                    "cannot listen on " + options.address + ":" + std::to_string(options.port)};
        }
    }

    asio::awaitable<void> accept()
    {
        while (!shared_.stopping) {
            auto [error, socket] =
                co_await acceptor_.async_accept(asio::make_strand(context_), asio::as_tuple(asio::use_awaitable));
            if (error == asio::error::operation_aborted || shared_.stopping) co_return;
            if (error) { // out of descriptors, say: let some connections end first
                asio::steady_timer pause{context_, std::chrono::milliseconds{50}};
                co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
                continue;
            }
            if (*shared_.open >= shared_.options.max_connections) continue; // closes it
            Connection::start(std::make_shared<Connection>(std::move(socket), shared_));
        }
    }

    ConnectionShare shared_;
    asio::io_context context_;
    tcp::acceptor acceptor_;
    std::uint16_t port_ = 0;
    std::vector<std::jthread> threads_;
};

HttpServer::HttpServer(HttpServerOptions options, Handler handler, Refusal refusal)
    : implementation_{std::make_unique<Implementation>(std::move(options), std::move(handler), std::move(refusal))}
{
}

HttpServer::~HttpServer() = default;

std::uint16_t HttpServer::port() const noexcept { return implementation_->port(); }

std::function<std::size_t()> HttpServer::connection_counter() const { return implementation_->connection_counter(); }

void HttpServer::stop(std::chrono::milliseconds patience) { implementation_->stop(patience); }

} // namespace conference::http
