// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "http_server.hpp"

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
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_set>
#include <variant>

namespace conference::web {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;

constexpr auto as_tuple = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::seconds heartbeat{15};
constexpr std::size_t max_unsent_bytes = 256 * 1024; ///< of an event stream; its client comes back where it was

bool same_name(std::string_view left, std::string_view right) noexcept
{
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return std::ranges::equal(left, right, {}, lower, lower);
}

/// The sending side of an event stream: what is to be sent, and the news that it is.
class Outbox final : public EventStream, public std::enable_shared_from_this<Outbox> {
public:
    Outbox(const asio::any_io_executor& executor, std::function<void()> closed)
        : executor_{executor}, news_{executor}, closed_{std::move(closed)}
    {
    }

    void send(std::string text) override
    {
        const std::scoped_lock lock{mutex_};
        if (!open_) return;
        if (!unsent_.empty() && unsent_.size() + text.size() > max_unsent_bytes) open_ = false;
        else unsent_.append(text);
        asio::post(executor_, [self = shared_from_this()] { self->news_.cancel(); });
    }

    bool is_open() const noexcept override
    {
        const std::scoped_lock lock{mutex_};
        return open_;
    }

    /// What follows runs on the connection's strand.
    asio::awaitable<std::string> next()
    {
        if (auto text = take(); !text.empty() || !is_open()) co_return text;
        news_.expires_after(heartbeat);
        co_await news_.async_wait(as_tuple);
        auto text = take();
        co_return text.empty() ? ": still here\n\n" : std::move(text);
    }

    void close()
    {
        {
            const std::scoped_lock lock{mutex_};
            open_ = false;
        }
        news_.cancel();
        if (auto closed = std::exchange(closed_, nullptr)) closed();
    }

private:
    std::string take()
    {
        const std::scoped_lock lock{mutex_};
        return std::exchange(unsent_, {});
    }

    asio::any_io_executor executor_;
    asio::steady_timer news_;
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

} // namespace

std::string_view Request::header(std::string_view name) const noexcept
{
    for (const auto& [key, value] : headers) {
        if (same_name(key, name)) return value;
    }
    return {};
}

/// Takes the outcome to the connection that waits for it, once.
class Responder::Channel {
public:
    Channel(asio::any_io_executor executor, std::function<void(Outcome)> deliver)
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

    const asio::any_io_executor& executor() const noexcept { return executor_; }

private:
    asio::any_io_executor executor_;
    std::function<void(Outcome)> deliver_;
    std::atomic<bool> used_{false};
};

Responder Responder::observed(std::function<void(unsigned status)> observer) const
{
    Responder responder{channel_};
    responder.observer_ = std::move(observer);
    return responder;
}

void Responder::respond(Response response) const
{
    if (observer_) observer_(response.status);
    channel_->put(std::move(response));
}

std::shared_ptr<EventStream> Responder::stream(Headers headers, std::function<void()> closed) const
{
    if (observer_) observer_(200);
    auto outbox = std::make_shared<Outbox>(channel_->executor(), std::move(closed));
    channel_->put(StreamStart{std::move(headers), outbox});
    return outbox;
}

namespace {

class Connection;

/// What the connections share.
struct Shared {
    Shared(HttpServerOptions how, HttpServer::Handler handle, HttpServer::Refusal refuse)
        : options{std::move(how)}, handler{std::move(handle)}, refusal{std::move(refuse)}
    {
    }

    HttpServerOptions options;
    HttpServer::Handler handler;
    HttpServer::Refusal refusal;

    std::mutex mutex;
    std::condition_variable emptied;
    std::unordered_set<Connection*> connections;
    std::shared_ptr<std::atomic<std::size_t>> open = std::make_shared<std::atomic<std::size_t>>(0);
    std::atomic<bool> stopping{false};
};

/// One client, one request at a time. Everything runs on the connection's strand.
class Connection : public std::enable_shared_from_this<Connection> {
public:
    Connection(tcp::socket socket, Shared& shared) : stream_{std::move(socket)}, shared_{&shared}
    {
        beast::error_code ignored;
        stream_.socket().set_option(tcp::no_delay{true}, ignored);
        ++*shared.open;
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection()
    {
        const std::scoped_lock lock{shared_->mutex};
        shared_->connections.erase(this);
        --*shared_->open;
        shared_->emptied.notify_all();
    }

    static void start(const std::shared_ptr<Connection>& self)
    {
        {
            const std::scoped_lock lock{self->shared_->mutex};
            self->shared_->connections.insert(self.get());
        }
        const auto executor = self->stream_.get_executor();
        asio::co_spawn(
            executor, [self]() -> asio::awaitable<void> { co_await self->serve(); }, asio::detached);
    }

    /// Ends an idle connection at once, a busy one after its response. Any thread.
    void stop()
    {
        asio::post(stream_.get_executor(), [self = shared_from_this()] {
            if (self->outbox_) self->outbox_->close();
            if (self->outbox_ || self->idle_) self->stream_.cancel();
        });
    }

private:
    using Parser = http::request_parser<http::string_body>;

    asio::awaitable<void> serve()
    {
        bool keep_alive = true;
        while (keep_alive && !shared_->stopping) keep_alive = co_await serve_one();
        co_await linger();
    }

    /// @return whether another request may follow
    asio::awaitable<bool> serve_one()
    {
        if (!co_await wait_for_request()) co_return false;
        Parser parser;
        parser.header_limit(shared_->options.max_header_bytes);
        parser.body_limit(shared_->options.max_body_bytes);
        stream_.expires_after(shared_->options.read_timeout);
        auto [error, size] = co_await http::async_read_header(stream_, buffer_, parser, as_tuple);
        if (!error && parser.get()[http::field::expect] == "100-continue" && !parser.is_done()) {
            http::response<http::empty_body> go_on{http::status::continue_, 11};
            std::tie(error, size) = co_await http::async_write(stream_, go_on, as_tuple);
        }
        if (!error) std::tie(error, size) = co_await http::async_read(stream_, buffer_, parser, as_tuple);
        if (error) co_return co_await refuse(error);

        const bool keep_alive = parser.get().keep_alive();
        const bool is_head = parser.get().method() == http::verb::head;
        Outcome outcome = co_await handle(request_of(parser));
        if (auto* const start = std::get_if<StreamStart>(&outcome)) {
            co_await stream_events(std::move(*start), is_head);
            co_return false;
        }
        co_return co_await write(std::get<Response>(std::move(outcome)), keep_alive, is_head);
    }

    asio::awaitable<bool> wait_for_request()
    {
        if (buffer_.size() != 0) co_return true; // pipelined
        stream_.expires_after(shared_->options.idle_timeout);
        idle_ = true;
        const auto [error, size] = co_await stream_.async_read_some(buffer_.prepare(4096), as_tuple);
        idle_ = false;
        buffer_.commit(size);
        co_return !error && size != 0;
    }

    static Request request_of(Parser& parser)
    {
        auto& message = parser.get();
        Request request;
        request.method = std::string{message.method_string()};
        request.target = std::string{message.target()};
        for (const auto& field : message) request.headers.emplace_back(field.name_string(), field.value());
        request.body = std::move(message.body());
        return request;
    }

    /// Gives the request to the handler and waits for the outcome, which may come from any thread.
    asio::awaitable<Outcome> handle(Request request)
    {
        co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(Outcome)>(
            [this](auto completion, Request given) {
                auto waiting = std::make_shared<decltype(completion)>(std::move(completion));
                auto executor = stream_.get_executor();
                const Responder responder{
                    std::make_shared<Responder::Channel>(executor, [waiting, executor](Outcome outcome) {
                        asio::post(executor, [waiting, outcome = std::move(outcome)]() mutable {
                            std::move (*waiting)(std::move(outcome));
                        });
                    })};
                try {
                    shared_->handler(std::move(given), responder);
                } catch (const std::exception&) {
                    responder.respond(shared_->refusal(500, "Something went wrong here."));
                }
            },
            asio::use_awaitable, std::move(request));
    }

    asio::awaitable<bool> write(Response response, bool keep_alive, bool is_head)
    {
        keep_alive = keep_alive && !shared_->stopping;
        http::response<http::string_body> message{static_cast<http::status>(response.status), 11};
        for (const auto& [name, value] : response.headers) message.set(name, value);
        message.keep_alive(keep_alive);
        message.body() = std::move(response.body);
        message.prepare_payload();
        stream_.expires_after(shared_->options.write_timeout);
        if (is_head) {
            http::response_serializer<http::string_body> serializer{message};
            const auto [error, size] = co_await http::async_write_header(stream_, serializer, as_tuple);
            co_return keep_alive && !error;
        }
        const auto [error, size] = co_await http::async_write(stream_, message, as_tuple);
        co_return keep_alive && !error;
    }

    /// What arrived is no request that can be served; the connection ends after the answer, if one makes sense.
    asio::awaitable<bool> refuse(beast::error_code error)
    {
        if (error == http::error::end_of_stream || error == asio::error::operation_aborted) co_return false;
        unsigned status = 0;
        std::string_view sentence;
        if (error == http::error::body_limit) {
            status = 413;
            sentence = "The body is larger than this server accepts.";
        } else if (error == http::error::header_limit || error == http::error::buffer_overflow) {
            status = 431;
            sentence = "The header is larger than this server accepts.";
        } else if (error.category() == http::make_error_code(http::error::end_of_stream).category() &&
                   error != http::error::partial_message) {
            status = 400;
            sentence = "This is not an HTTP/1.1 request.";
        } else {
            co_return false;
        }
        refused_ = true;
        if (stream_.socket().is_open()) co_await write(shared_->refusal(status, sentence), false, false);
        co_return false;
    }

    asio::awaitable<void> stream_events(StreamStart start, bool is_head)
    {
        outbox_ = start.outbox;
        std::string text = "HTTP/1.1 200 OK\r\nConnection: close\r\n";
        for (const auto& [name, value] : start.headers) text.append(name).append(": ").append(value).append("\r\n");
        text.append("\r\n");
        asio::co_spawn(
            stream_.get_executor(),
            [self = shared_from_this()]() -> asio::awaitable<void> { co_await self->notice_departure(); },
            asio::detached);
        while (!text.empty()) {
            stream_.expires_after(shared_->options.write_timeout);
            const auto [error, size] = co_await asio::async_write(stream_, asio::buffer(text), as_tuple);
            if (error || is_head || shared_->stopping) break;
            text = co_await outbox_->next();
            if (!outbox_->is_open()) break;
        }
        outbox_->close();
        stream_.cancel();
    }

    /// The client of an event stream has nothing more to say: whatever arrives is its goodbye.
    asio::awaitable<void> notice_departure()
    {
        std::array<char, 64> bytes{};
        stream_.expires_never();
        co_await stream_.async_read_some(asio::buffer(bytes), as_tuple);
        outbox_->close();
    }

    /// Closes. A client that was refused may be in the middle of sending, and is to read the answer all the same.
    asio::awaitable<void> linger()
    {
        beast::error_code error;
        stream_.socket().shutdown(tcp::socket::shutdown_send, error);
        if (error || !refused_) co_return;
        std::array<char, 4096> bytes{};
        stream_.expires_after(std::chrono::seconds{1});
        for (int reads = 0; reads < 256; ++reads) {
            const auto [failed, size] = co_await stream_.async_read_some(asio::buffer(bytes), as_tuple);
            if (failed) break;
        }
    }

    beast::tcp_stream stream_;
    beast::flat_buffer buffer_;
    Shared* shared_;
    std::shared_ptr<Outbox> outbox_;
    bool idle_ = false;
    bool refused_ = false;
};

} // namespace

class HttpServer::Implementation {
public:
    Implementation(HttpServerOptions options, Handler handler, Refusal refusal)
        : shared_{std::move(options), std::move(handler), std::move(refusal)},
          context_{static_cast<int>(shared_.options.threads)}, acceptor_{asio::make_strand(context_)}
    {
        const tcp::endpoint endpoint{asio::ip::make_address(shared_.options.address), shared_.options.port};
        acceptor_.open(endpoint.protocol());
        acceptor_.set_option(asio::socket_base::reuse_address{true});
        acceptor_.bind(endpoint);
        acceptor_.listen(asio::socket_base::max_listen_connections);
        port_ = acceptor_.local_endpoint().port();
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
    asio::awaitable<void> accept()
    {
        while (!shared_.stopping) {
            auto [error, socket] = co_await acceptor_.async_accept(asio::make_strand(context_), as_tuple);
            if (error == asio::error::operation_aborted || shared_.stopping) co_return;
            if (error) { // out of descriptors, say: let some connections end first
                asio::steady_timer pause{context_, std::chrono::milliseconds{50}};
                co_await pause.async_wait(as_tuple);
                continue;
            }
            if (*shared_.open >= shared_.options.max_connections) continue; // closes it
            Connection::start(std::make_shared<Connection>(std::move(socket), shared_));
        }
    }

    Shared shared_;
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

} // namespace conference::web
