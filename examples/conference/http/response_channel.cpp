// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "response_channel.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <cstddef>

namespace conference::http {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::seconds heartbeat{15};
constexpr std::size_t max_unsent_bytes = 256 * 1024; ///< of an event stream; its client comes back where it was

} // namespace

void Outbox::send(std::string text)
{
    const std::scoped_lock lock{mutex_};
    if (!open_) return;
    if (!unsent_.empty() && unsent_.size() + text.size() > max_unsent_bytes) open_ = false;
    else unsent_.append(text);
    asio::post(executor_, [self = shared_from_this()] { self->news_.cancel(); });
}

bool Outbox::is_open() const noexcept
{
    const std::scoped_lock lock{mutex_};
    return open_;
}

asio::awaitable<std::string> Outbox::next()
{
    if (auto text = take(); !text.empty() || !is_open()) co_return text;
    news_.expires_after(heartbeat);
    co_await news_.async_wait(asio::as_tuple(asio::use_awaitable));
    auto text = take();
    co_return text.empty() ? ": still here\n\n" : std::move(text);
}

void Outbox::close()
{
    {
        const std::scoped_lock lock{mutex_};
        open_ = false;
    }
    news_.cancel();
    if (auto closed = std::exchange(closed_, nullptr)) closed();
}

std::string Outbox::take()
{
    const std::scoped_lock lock{mutex_};
    return std::exchange(unsent_, {});
}

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

} // namespace conference::http
