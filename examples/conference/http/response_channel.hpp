// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "http_server.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <variant>

// How a response gets from whoever makes it, on any thread, to the connection that waits for it: what `Responder` hides
// from those who use the server.
namespace conference::http {

/// The sending side of an event stream: what is to be sent, and the news that it is.
class Outbox final : public EventStream, public std::enable_shared_from_this<Outbox> {
public:
    /// @param executor  the connection's strand
    /// @param closed    called once, on the strand or where an unused stream ends
    Outbox(const boost::asio::any_io_executor& executor, std::function<void()> closed)
        : executor_{executor}, news_{executor}, closed_{std::move(closed)}
    {
    }

    void send(std::string text) override;
    bool is_open() const noexcept override;

    /// What is to be sent next; after a while without news a comment, so that a client that has gone is noticed. On the
    /// strand only, as `close`.
    boost::asio::awaitable<std::string> next();
    void close();

private:
    std::string take();

    boost::asio::any_io_executor executor_;
    boost::asio::steady_timer news_;
    std::function<void()> closed_;
    mutable std::mutex mutex_;
    std::string unsent_;
    bool open_ = true;
};

/// The beginning of an event stream, on its way to the connection. If it ends anywhere on the way, so does the stream.
struct StreamStart {
    StreamStart(Headers given, std::shared_ptr<Outbox> box) : headers{std::move(given)}, outbox{std::move(box)} {}
    StreamStart(StreamStart&&) noexcept = default;
    StreamStart& operator=(StreamStart&&) = delete;
    ~StreamStart() // NOLINT(bugprone-exception-escape): nobody to tell
    {
        if (outbox) outbox->close();
    }

    Headers headers;
    std::shared_ptr<Outbox> outbox;
};

using Outcome = std::variant<Response, StreamStart>;

/// Takes the outcome to the connection that waits for it, once.
class Responder::Channel {
public:
    /// @param executor  the connection's strand
    Channel(boost::asio::any_io_executor executor, std::function<void(Outcome)> deliver)
        : executor_{std::move(executor)}, deliver_{std::move(deliver)}
    {
    }
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;
    ~Channel() { put(Response{500, {}, {}}); }

    void put(Outcome outcome)
    {
        if (!used_.exchange(true)) deliver_(std::move(outcome));
    }

    const boost::asio::any_io_executor& executor() const noexcept { return executor_; }

private:
    boost::asio::any_io_executor executor_;
    std::function<void(Outcome)> deliver_;
    std::atomic<bool> used_{false};
};

} // namespace conference::http
