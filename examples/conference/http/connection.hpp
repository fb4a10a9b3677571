// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "http_server.hpp"
#include "memory_reserve.hpp"
#include "rate_limited_log.hpp"
#include "request_parser.hpp"
#include "response_channel.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

// What `HttpServer` is made of; for it only.
namespace http {

class Connection;

/// What the connections of a server share.
struct ConnectionShare {
    ConnectionShare(HttpServerOptions how, HttpServer::Handler handle, HttpServer::Refusal refuse);

    /// Sends the answer that was made beforehand for such a failure. Needs no memory, and waits for nothing.
    void send_failure(boost::asio::ip::tcp::socket& socket, unsigned status) const noexcept;

    HttpServerOptions options;
    HttpServer::Handler handler;
    HttpServer::Refusal refusal;
    RateLimitedLog log;
    MemoryReserve reserve;
    std::string failed;    ///< a 500, whole
    std::string exhausted; ///< a 503, whole

    std::mutex mutex;
    std::condition_variable emptied;
    std::unordered_set<Connection*> connections;
    ByteCount unsent = std::make_shared<std::atomic<std::size_t>>(0);
    std::shared_ptr<std::atomic<std::size_t>> open = std::make_shared<std::atomic<std::size_t>>(0);
    std::atomic<bool> stopping{false};
};

/// One client, one request at a time. Everything runs on one of the server's threads.
class Connection : public std::enable_shared_from_this<Connection> {
public:
    /// @param shared  must outlive the connection
    Connection(boost::asio::ip::tcp::socket socket, ConnectionShare& shared);
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection();

    static void start(const std::shared_ptr<Connection>& self);

    /// Ends an idle connection at once, a busy one after its response. Any thread.
    void stop();

private:
    template <class T>
    using Awaitable = boost::asio::awaitable<T>;

    Awaitable<void> serve();
    Awaitable<bool> serve_one();
    Awaitable<bool> wait_for_request();
    Awaitable<boost::beast::error_code> read(RequestParser& parser, bool whole);
    Request request_of(RequestParser& parser) const;
    Awaitable<Outcome> handle(Request request);
    Awaitable<bool> write(const Response& response, bool keep_alive, bool is_head);
    Awaitable<bool> refuse(Refused why);
    void fail(const Failure& failure) noexcept;
    void log(const std::exception_ptr& reason) const noexcept;
    Awaitable<void> stream_events(StreamStart start, bool is_head);
    Awaitable<void> notice_departure();
    Awaitable<void> linger();

    boost::beast::tcp_stream stream_;
    boost::beast::flat_buffer buffer_;
    ConnectionShare* shared_;
    std::string client_;
    std::shared_ptr<Outbox> outbox_;
    bool idle_ = false;
    bool answering_ = false; ///< some of the answer may have been sent
    bool refused_ = false;
};

} // namespace http
