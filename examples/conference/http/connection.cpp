// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "connection.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http.hpp>

#include <array>
#include <chrono>
#include <string>
#include <string_view>
#include <tuple>
#include <variant>

namespace conference::http {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;

namespace {

constexpr auto as_tuple = asio::as_tuple(asio::use_awaitable);

void append_fields(std::string& text, const Headers& headers)
{
    for (const auto& [name, value] : headers) text.append(name).append(": ").append(value).append("\r\n");
}

} // namespace

Connection::Connection(tcp::socket socket, ConnectionShare& shared) : stream_{std::move(socket)}, shared_{&shared}
{
    beast::error_code ignored;
    stream_.socket().set_option(tcp::no_delay{true}, ignored);
    ++*shared.open;
}

Connection::~Connection()
{
    const std::scoped_lock lock{shared_->mutex};
    shared_->connections.erase(this);
    --*shared_->open;
    shared_->emptied.notify_all();
}

void Connection::start(const std::shared_ptr<Connection>& self)
{
    {
        const std::scoped_lock lock{self->shared_->mutex};
        self->shared_->connections.insert(self.get());
    }
    const auto executor = self->stream_.get_executor();
    asio::co_spawn(
        executor, [self]() -> asio::awaitable<void> { co_await self->serve(); }, asio::detached);
}

void Connection::stop()
{
    asio::post(stream_.get_executor(), [self = shared_from_this()] {
        if (self->outbox_) self->outbox_->close();
        if (self->outbox_ || self->idle_) self->stream_.cancel();
    });
}

asio::awaitable<void> Connection::serve()
{
    bool keep_alive = true;
    while (keep_alive && !shared_->stopping) keep_alive = co_await serve_one();
    co_await linger();
}

/// @return whether another request may follow
asio::awaitable<bool> Connection::serve_one()
{
    if (!co_await wait_for_request()) co_return false;
    Parser parser;
    parser.header_limit(shared_->options.max_header_bytes);
    parser.body_limit(shared_->options.max_body_bytes);
    stream_.expires_after(shared_->options.read_timeout);
    auto [error, size] = co_await beast::http::async_read_header(stream_, buffer_, parser, as_tuple);
    if (!error && parser.get()[beast::http::field::expect] == "100-continue" && !parser.is_done()) {
        beast::http::response<beast::http::empty_body> go_on{beast::http::status::continue_, 11};
        std::tie(error, size) = co_await beast::http::async_write(stream_, go_on, as_tuple);
    }
    if (!error) std::tie(error, size) = co_await beast::http::async_read(stream_, buffer_, parser, as_tuple);
    if (error) co_return co_await refuse(error);

    const bool keep_alive = parser.get().keep_alive();
    const bool is_head = parser.get().method() == beast::http::verb::head;
    Outcome outcome = co_await handle(request_of(parser));
    if (auto* const start = std::get_if<StreamStart>(&outcome)) {
        co_await stream_events(std::move(*start), is_head);
        co_return false;
    }
    co_return co_await write(std::get<Response>(std::move(outcome)), keep_alive, is_head);
}

asio::awaitable<bool> Connection::wait_for_request()
{
    if (buffer_.size() != 0) co_return true; // pipelined
    stream_.expires_after(shared_->options.idle_timeout);
    idle_ = true;
    const auto [error, size] = co_await stream_.async_read_some(buffer_.prepare(4096), as_tuple);
    idle_ = false;
    buffer_.commit(size);
    co_return !error && size != 0;
}

Request Connection::request_of(Parser& parser)
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
asio::awaitable<Outcome> Connection::handle(Request request)
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
            } catch (...) {
                responder.respond(shared_->refusal(500, "Something went wrong here."));
            }
        },
        asio::use_awaitable, std::move(request));
}

/// By hand, in one piece: Beast's serializer took 20,000 of the 64,000 instructions of a small request.
asio::awaitable<bool> Connection::write(Response response, bool keep_alive, bool is_head)
{
    keep_alive = keep_alive && !shared_->stopping;
    std::string text = "HTTP/1.1 " + std::to_string(response.status) + " ";
    text.append(beast::http::obsolete_reason(static_cast<beast::http::status>(response.status))).append("\r\n");
    append_fields(text, response.headers);
    if (!keep_alive) text.append("Connection: close\r\n");
    // Statuses that never have a body have no length either (RFC 9110, section 8.6).
    const bool has_body = response.status >= 200 && response.status != 204 && response.status != 304;
    if (has_body) text.append("Content-Length: ").append(std::to_string(response.body.size())).append("\r\n");
    text.append("\r\n");
    if (has_body && !is_head) text.append(response.body);
    stream_.expires_after(shared_->options.write_timeout);
    const auto [error, size] = co_await asio::async_write(stream_, asio::buffer(text), as_tuple);
    co_return keep_alive && !error;
}

/// What arrived is no request that can be served; the connection ends after the answer, if one makes sense.
asio::awaitable<bool> Connection::refuse(beast::error_code error)
{
    if (error == beast::http::error::end_of_stream || error == asio::error::operation_aborted) co_return false;
    unsigned status = 0;
    std::string_view sentence;
    if (error == beast::http::error::body_limit) {
        status = 413;
        sentence = "The body is larger than this server accepts.";
    } else if (error == beast::http::error::header_limit || error == beast::http::error::buffer_overflow) {
        status = 431;
        sentence = "The header is larger than this server accepts.";
    } else if (error.category() == beast::http::make_error_code(beast::http::error::end_of_stream).category() &&
               error != beast::http::error::partial_message) {
        status = 400;
        sentence = "This is not an HTTP/1.1 request.";
    } else {
        co_return false;
    }
    refused_ = true;
    if (stream_.socket().is_open()) co_await write(shared_->refusal(status, sentence), false, false);
    co_return false;
}

asio::awaitable<void> Connection::stream_events(StreamStart start, bool is_head)
{
    outbox_ = start.outbox;
    std::string text = "HTTP/1.1 200 OK\r\nConnection: close\r\n";
    append_fields(text, start.headers);
    text.append("\r\n");
    asio::co_spawn(
        stream_.get_executor(),
        [self = shared_from_this()]() -> asio::awaitable<void> { co_await self->notice_departure(); }, asio::detached);
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
asio::awaitable<void> Connection::notice_departure()
{
    std::array<char, 64> bytes{};
    stream_.expires_never();
    co_await stream_.async_read_some(asio::buffer(bytes), as_tuple);
    outbox_->close();
}

/// Closes. A client that was refused may be in the middle of sending, and is to read the answer all the same.
asio::awaitable<void> Connection::linger()
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

} // namespace conference::http
