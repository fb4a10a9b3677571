// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "connection.hpp"

#include "field_values.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <tuple>
#include <variant>

namespace http {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;

namespace {

constexpr auto as_tuple = asio::as_tuple(asio::use_awaitable);

/// The beginning of every answer.
std::string head_of(unsigned status, const Headers& headers)
{
    std::string text = "HTTP/1.1 " + std::to_string(status) + " ";
    text.append(beast::http::obsolete_reason(static_cast<beast::http::status>(status)));
    text.append("\r\nDate: ").append(date_now()).append("\r\nX-Content-Type-Options: nosniff\r\n");
    for (const auto& [name, value] : headers) text.append(name).append(": ").append(value).append("\r\n");
    return text;
}

/// Made without Beast's serializer, which adds 17,000 instructions to the 23,000 that a small request takes.
std::string text_of(const Response& response, bool keep_alive, bool is_head)
{
    std::string text = head_of(response.status, response.headers);
    if (!keep_alive) text.append("Connection: close\r\n");
    // Statuses that never have a body have no length either (RFC 9110, section 8.6).
    const bool has_body = response.status >= 200 && response.status != 204 && response.status != 304;
    if (has_body) text.append("Content-Length: ").append(std::to_string(response.body.size())).append("\r\n");
    text.append("\r\n");
    if (has_body && !is_head) text.append(response.body);
    return text;
}

/// The address that the proxy has appended to X-Forwarded-For; empty if there is none. What stands before it may be invented.
std::string_view forwarded_address(const Headers& headers)
{
    std::string_view last;
    for (const auto& [name, value] : headers) {
        if (same_name(name, "X-Forwarded-For")) last = value;
    }
    last.remove_prefix(last.rfind(',') + 1); // 0 if there is no comma
    while (last.starts_with(' ') || last.starts_with('\t')) last.remove_prefix(1);
    // Some proxies add the port: 192.0.2.1:4711, [2001:db8::1]:4711.
    if (last.starts_with('[')) last = last.substr(1, last.find(']') - 1);
    else if (std::ranges::count(last, ':') == 1) last = last.substr(0, last.find(':'));
    beast::error_code error;
    asio::ip::make_address(last, error);
    return error ? std::string_view{} : last;
}

} // namespace

ConnectionShare::ConnectionShare(HttpServerOptions how, HttpServer::Handler handle, HttpServer::Refusal refuse)
    : options{std::move(how)}, handler{std::move(handle)}, refusal{std::move(refuse)}, log{options.log},
      failed{text_of(refusal(500, "Something went wrong here."), false, false)},
      exhausted{text_of(refusal(503, "We are busy just now."), false, false)}
{
}

void ConnectionShare::send_failure(tcp::socket& socket, unsigned status) const noexcept
{
    const std::string& text = status == 503 ? exhausted : failed;
    constexpr std::string_view before_date = "\r\nDate: ";
    const auto date = date_now();
    const auto split = text.find(before_date) + before_date.size();
    const std::array parts{asio::buffer(text.data(), split), asio::buffer(date.data(), date.size()),
                           asio::buffer(text.data() + split + date.size(), text.size() - split - date.size())};
    beast::error_code ignored;
    socket.non_blocking(true, ignored);
    socket.write_some(parts, ignored);
}

Connection::Connection(tcp::socket socket, ConnectionShare& shared)
    : stream_{std::move(socket)}, buffer_{2 * std::size_t{shared.options.max_header_bytes}}, shared_{&shared}
{
    beast::error_code ignored;
    stream_.socket().set_option(tcp::no_delay{true}, ignored);
    client_ = stream_.socket().remote_endpoint(ignored).address().to_string();
    ++*shared.open;
}

Connection::~Connection()
{
    try {
        if (outbox_) outbox_->close(); // the server may have ended in the middle of the stream
    } catch (...) {
        log(std::current_exception());
    }
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

/// Serves one request after another. The one place where what went wrong with a request, whatever it was, ends.
asio::awaitable<void> Connection::serve()
{
    bool keep_alive = true;
    while (keep_alive && !shared_->stopping) {
        answering_ = false;
        try {
            keep_alive = co_await serve_one();
        } catch (...) {
            keep_alive = false;
            fail(failure_of(std::current_exception()));
        }
    }
    co_await linger();
}

/// @return whether another request may follow
asio::awaitable<bool> Connection::serve_one()
{
    if (!co_await wait_for_request()) co_return false;
    if (!shared_->reserve.is_whole()) {
        fail(Failure{503, nullptr});
        co_return false;
    }
    RequestParser parser{shared_->options};
    stream_.expires_after(shared_->options.read_timeout);
    auto error = co_await read(parser, false);
    if (!error) {
        if (const auto refusal = refusal_of(parser.get())) co_return co_await refuse(*refusal);
        if (is_body_held_back(parser.get()) && !parser.is_done()) {
            constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
            std::tie(error, std::ignore) = co_await asio::async_write(stream_, asio::buffer(go_on), as_tuple);
        }
    }
    if (!error) error = co_await read(parser, true);
    if (error) {
        const auto refusal = refusal_of(error);
        co_return refusal&& co_await refuse(*refusal);
    }

    // HTTP/1.0 would have to be told, or the client waits for the end of the connection (RFC 9112, section 9.3).
    const bool keep_alive = parser.get().version() >= 11 && parser.get().keep_alive();
    const bool is_head = parser.get().method() == beast::http::verb::head;
    Outcome outcome = co_await handle(request_of(parser));
    if (const auto* const failure = std::get_if<Failure>(&outcome)) {
        fail(*failure);
        co_return false;
    }
    if (auto* const start = std::get_if<StreamStart>(&outcome)) {
        co_await stream_events(std::move(*start), is_head);
        co_return false;
    }
    co_return co_await write(std::get<Response>(outcome), keep_alive, is_head);
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

/// Reads the header, or what follows it. What stands between the pieces of a chunked body, and after them, must fit into
/// the buffer.
asio::awaitable<beast::error_code> Connection::read(RequestParser& parser, bool whole)
{
    parser.eager(whole);
    while (!(whole ? parser.is_done() : parser.is_header_done())) {
        beast::error_code error = beast::http::error::need_more;
        if (buffer_.size() != 0) buffer_.consume(parser.feed(buffer_.data(), error));
        if (!error) continue;
        if (error != beast::http::error::need_more) co_return error;
        const std::size_t room = buffer_.max_size() - buffer_.size();
        if (room == 0) co_return beast::http::error::header_limit;
        constexpr std::size_t piece = 16 * 1024;
        const auto [failed, size] = co_await stream_.async_read_some(buffer_.prepare(std::min(room, piece)), as_tuple);
        if (failed) co_return failed;
        buffer_.commit(size);
    }
    co_return beast::error_code{};
}

Request Connection::request_of(RequestParser& parser) const
{
    auto& message = parser.get();
    Request request;
    request.method = std::string{message.method_string()};
    request.target = origin_form(message.target());
    for (const auto& field : message) request.headers.emplace_back(field.name_string(), field.value());
    request.body = std::move(message.body());
    const auto forwarded = shared_->options.is_behind_proxy ? forwarded_address(request.headers) : std::string_view{};
    request.client = forwarded.empty() ? client_ : forwarded;
    return request;
}

/// Gives the request to the handler and waits for the outcome, which may come from any thread.
asio::awaitable<Outcome> Connection::handle(Request request)
{
    const auto answer = std::make_shared<Answer>();
    shared_->handler(std::move(request), Responder{std::make_shared<Responder::Channel>(answer, shared_->unsent)});
    co_return co_await answer->get();
}

asio::awaitable<bool> Connection::write(const Response& response, bool keep_alive, bool is_head)
{
    keep_alive = keep_alive && !shared_->stopping;
    const std::string text = text_of(response, keep_alive, is_head);
    UnsentBytes unsent{shared_->unsent};
    unsent.add(text.size());
    stream_.expires_after(shared_->options.write_timeout);
    answering_ = true;
    const auto [error, size] = co_await asio::async_write(stream_, asio::buffer(text), as_tuple);
    co_return keep_alive && !error;
}

/// What arrived is no request that can be served; the connection ends after the answer.
asio::awaitable<bool> Connection::refuse(Refused why)
{
    refused_ = true;
    if (stream_.socket().is_open()) co_await write(shared_->refusal(why.status, why.sentence), false, false);
    co_return false;
}

/// The request failed in our hands; the connection ends after the answer.
void Connection::fail(const Failure& failure) noexcept
{
    if (failure.status == 503) {
        shared_->reserve.give_up();
        shared_->log("http: no memory for a request");
    } else {
        log(failure.reason);
    }
    if (answering_) return;
    refused_ = true;
    shared_->send_failure(stream_.socket(), failure.status);
}

void Connection::log(const std::exception_ptr& reason) const noexcept
{
    try {
        if (reason) std::rethrow_exception(reason);
        shared_->log("http: a request got no response");
    } catch (const std::exception& error) {
        shared_->log(error.what());
    } catch (...) {
        shared_->log("http: a request ended with an exception of an unknown type");
    }
}

asio::awaitable<void> Connection::stream_events(StreamStart start, bool is_head)
{
    outbox_ = start.outbox;
    // What the system keeps for a client that does not read is bounded, too; by itself it would grow to megabytes.
    constexpr int send_buffer = 32 * 1024;
    beast::error_code ignored;
    stream_.socket().set_option(asio::socket_base::send_buffer_size{send_buffer}, ignored);
    std::string text = head_of(200, start.headers) + "Connection: close\r\n\r\n";
    asio::co_spawn(
        stream_.get_executor(),
        [self = shared_from_this()]() -> asio::awaitable<void> { co_await self->notice_departure(); }, asio::detached);
    answering_ = true;
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
    if (outbox_) stream_.cancel(); // after a failure `notice_departure` may still be reading, without a deadline
    beast::error_code error;
    stream_.socket().shutdown(tcp::socket::shutdown_send, error);
    if (error || !refused_) co_return;
    std::array<char, 4096> bytes{};
    constexpr std::chrono::seconds patience{1};
    stream_.expires_after(patience);
    // The stream's timer never ends reads that complete at once: a client may send faster than this reads.
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!error && std::chrono::steady_clock::now() < deadline)
        std::tie(error, std::ignore) = co_await stream_.async_read_some(asio::buffer(bytes), as_tuple);
}

} // namespace http
