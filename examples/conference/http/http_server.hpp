// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace http {

using Headers = std::vector<std::pair<std::string, std::string>>;

using Log = std::function<void(std::string_view)>;

struct Request {
    std::string method;
    std::string target; ///< path and query as they came, without scheme and host
    Headers headers;
    std::string body;
    std::string client{}; ///< IP address

    /// Value of the first header of that name, whatever its case; empty if there is none.
    std::string_view header(std::string_view name) const noexcept;
};

struct Response {
    unsigned status = 200;
    Headers headers;
    std::string body;
};

/// A response without an end: server-sent events, until the client leaves or the server stops.
/// May outlive the server, and is closed then.
/// @par Thread safety  any thread
class EventStream {
public:
    virtual ~EventStream() = default;

    /// Sends `text` as it is. A producer that waits for `StreamEvents::sent` before it makes the next text holds no
    /// more than one; a stream on which more than 256 KiB wait is closed, and its client may come back.
    virtual void send(std::string text) = 0;
    virtual bool is_open() const noexcept = 0;
};

/// What a stream reports to its producer, on one of the server's threads, which must not be blocked.
struct StreamEvents {
    std::function<void()> sent;   ///< the client's socket has taken all that was sent: time to make more
    std::function<void()> closed; ///< the client has gone, or was let go; called once, and nothing is called after it
};

/// The way back to the client; exactly one of its members must be called, once, from any thread. If none is, the client
/// gets a 500 when the last copy is gone. May outlive the server: the response goes nowhere then.
class Responder {
public:
    class Channel;
    explicit Responder(std::shared_ptr<Channel> channel) : channel_{std::move(channel)} {}

    void respond(Response response) const;

    /// Ends the connection, after a 503 if memory was lacking and a 500 for any other reason.
    void fail(const std::exception_ptr& reason) const noexcept;

    /// Responds with what `work` returns, or fails with what it throws.
    template <class Work>
    void respond_with(const Work& work) const noexcept
    {
        try {
            respond(work());
        } catch (...) {
            fail(std::current_exception());
        }
    }

    /// The same way back, with an observer of the status that goes along it.
    Responder observed(std::function<void(unsigned status)> observer) const;

    /// Begins an event stream.
    std::shared_ptr<EventStream> stream(Headers headers, StreamEvents events) const;

private:
    std::shared_ptr<Channel> channel_;
    std::function<void(unsigned)> observer_;
};

struct HttpServerOptions {
    std::string address = "127.0.0.1";
    std::uint16_t port = 8080; ///< 0: any free one
    unsigned threads = 2;
    std::size_t max_connections = 20'000;
    std::uint32_t max_header_bytes = 8 * 1024;
    std::uint64_t max_body_bytes = 64 * 1024;
    std::chrono::seconds read_timeout{10};  ///< for a whole request, once its first byte is there
    std::chrono::seconds idle_timeout{60};  ///< between requests
    std::chrono::seconds write_timeout{20}; ///< for a whole response
    bool is_behind_proxy = false;           ///< one that appends its client's address to X-Forwarded-For
    Log log = [](std::string_view) {};      ///< of what goes wrong in the server itself
};

/// An asynchronous HTTP/1.1 server. It knows nothing of what it serves.
class HttpServer {
public:
    /// Called for each request on one of the server's threads, which it must not block. What it throws is answered as
    /// by `Responder::fail`.
    using Handler = std::function<void(Request, Responder)>;
    /// Makes the response to what the server itself refuses: a status and a sentence.
    using Refusal = std::function<Response(unsigned status, std::string_view sentence)>;

    /// @throws std::system_error if the address cannot be listened on
    HttpServer(HttpServerOptions options, Handler handler, Refusal refusal);
    ~HttpServer();

    std::uint16_t port() const noexcept;

    /// Returns the number of open connections. May outlive the server, as the next one.
    std::function<std::size_t()> connection_counter() const;
    /// Returns how many bytes of answers and event streams wait for clients to take them.
    std::function<std::size_t()> unsent_counter() const;

    /// Stops accepting, and lets running requests finish for at most `patience`.
    /// @return whether all connections have ended
    bool drain(std::chrono::milliseconds patience);

    /// As `drain`, and then closes everything.
    void stop(std::chrono::milliseconds patience);

private:
    class Implementation;
    std::unique_ptr<Implementation> implementation_;
};

} // namespace http
