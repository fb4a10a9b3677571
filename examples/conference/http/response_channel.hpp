// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "http_server.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <variant>

// How a response gets from the thread that makes it to the connection that waits for it: what `Responder` hides from
// those who use the server.
namespace http {

/// Wakes the coroutine that waits for something of another thread. May outlive the coroutine, and the server.
class News : public std::enable_shared_from_this<News> {
public:
    /// Ends the wait, or the next one if there is none now. Where memory is lacking, the wait ends when its time is over.
    /// Any thread.
    void tell() noexcept;

    /// Waits for news; they may be about something old. By one coroutine at a time.
    /// @return whether there were any
    boost::asio::awaitable<bool> wait(std::chrono::steady_clock::duration at_most);

private:
    class Wait;

    std::mutex mutex_;
    bool told_ = false;
    boost::asio::steady_timer* timer_ = nullptr; ///< of the coroutine that waits
};

using ByteCount = std::shared_ptr<std::atomic<std::size_t>>;

/// The part that one answer has in the bytes that wait for clients to take them.
/// @par Thread safety  none
class UnsentBytes {
public:
    explicit UnsentBytes(ByteCount all) : all_{std::move(all)} {}
    UnsentBytes(const UnsentBytes&) = delete;
    UnsentBytes& operator=(const UnsentBytes&) = delete;
    ~UnsentBytes() { remove(bytes_); }

    void add(std::size_t bytes) noexcept
    {
        bytes_ += bytes;
        all_->fetch_add(bytes, std::memory_order_relaxed);
    }
    void remove(std::size_t bytes) noexcept
    {
        bytes_ -= bytes;
        all_->fetch_sub(bytes, std::memory_order_relaxed);
    }

private:
    ByteCount all_;
    std::size_t bytes_ = 0;
};

/// The sending side of an event stream: what to send, and the notice that it is sent.
class Outbox final : public EventStream {
public:
    /// @param events  `closed` may also be called where an unused stream ends
    /// @param unsent  counts what waits here
    Outbox(StreamEvents events, ByteCount unsent) : events_{std::move(events)}, unsent_bytes_{std::move(unsent)} {}

    void send(std::string text) override;
    bool is_open() const noexcept override;

    /// The text to send next, once all before it is sent; after a while without news a comment, so that the server
    /// notices a client that has gone. On the connection's thread only, as `close`.
    boost::asio::awaitable<std::string> next();
    void close();

private:
    std::string take();
    void was_sent();

    std::shared_ptr<News> news_ = std::make_shared<News>();
    StreamEvents events_;
    std::size_t sending_ = 0; ///< bytes of what was taken last
    mutable std::mutex mutex_;
    std::string unsent_;
    UnsentBytes unsent_bytes_; ///< of `unsent_` and of what was taken last
    bool open_ = true;
};

/// The beginning of an event stream, on its way to the connection. If it ends anywhere on the way, so does the stream.
struct StreamStart {
    StreamStart(Headers given, std::shared_ptr<Outbox> box) : headers{std::move(given)}, outbox{std::move(box)} {}
    StreamStart(StreamStart&&) noexcept = default;
    StreamStart& operator=(StreamStart&&) = delete;
    ~StreamStart();

    Headers headers;
    std::shared_ptr<Outbox> outbox;
};

/// There is no response: for want of memory (503), or because of an exception, or because none was made (500).
struct Failure {
    unsigned status = 500;
    std::exception_ptr reason; ///< not of a want of memory: exceptions themselves take memory
};

Failure failure_of(const std::exception_ptr& reason) noexcept;

using Outcome = std::variant<Response, StreamStart, Failure>;

/// Where the connection waits for the outcome of its request.
class Answer {
public:
    /// The first outcome is the one that counts. Any thread; allocates nothing that it cannot do without.
    void put(Outcome outcome) noexcept;

    /// On the connection's thread.
    boost::asio::awaitable<Outcome> get();

private:
    std::shared_ptr<News> news_ = std::make_shared<News>();
    std::mutex mutex_;
    std::optional<Outcome> outcome_;
    bool given_ = false;
};

/// Takes the outcome to the connection that waits for it, once. The last one that lets go of it has failed to.
class Responder::Channel {
public:
    Channel(std::shared_ptr<Answer> answer, ByteCount unsent) : answer_{std::move(answer)}, unsent_{std::move(unsent)}
    {
    }
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;
    ~Channel() { answer_->put(Failure{}); }

    void put(Outcome outcome) noexcept { answer_->put(std::move(outcome)); }

    std::shared_ptr<Outbox> begin_stream(Headers headers, StreamEvents events);

private:
    std::shared_ptr<Answer> answer_;
    ByteCount unsent_;
};

} // namespace http
