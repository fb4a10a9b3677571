// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "response_channel.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstddef>
#include <new>

namespace http {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::seconds heartbeat{15};
constexpr std::chrono::seconds longest_unnoticed{1}; ///< that an answer is there, when memory is lacking
constexpr std::size_t max_unsent_bytes = 256 * 1024; ///< of an event stream; its client comes back where it was

} // namespace

Failure failure_of(const std::exception_ptr& reason) noexcept
{
    try {
        std::rethrow_exception(reason);
    } catch (const std::bad_alloc&) {
        return {503, nullptr};
    } catch (...) {
        return {500, reason};
    }
}

/// Lets others wake the coroutine for as long as it waits: its thread's context may be gone when it does not.
class News::Wait {
public:
    Wait(News& news, asio::steady_timer& timer) : news_{&news}
    {
        const std::scoped_lock lock{news.mutex_};
        news.timer_ = &timer;
    }
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;
    ~Wait()
    {
        const std::scoped_lock lock{news_->mutex_};
        news_->timer_ = nullptr;
    }

private:
    News* news_;
};

void News::tell() noexcept
{
    const std::scoped_lock lock{mutex_};
    told_ = true;
    if (timer_ == nullptr) return;
    try {
        asio::post(timer_->get_executor(), [self = shared_from_this()] {
            const std::scoped_lock waiting{self->mutex_};
            if (self->timer_ != nullptr) self->timer_->cancel();
        });
    } catch (...) { // NOLINT(bugprone-empty-catch): the wait has its bound for this
    }
}

asio::awaitable<bool> News::wait(std::chrono::steady_clock::duration at_most)
{
    asio::steady_timer timer{co_await asio::this_coro::executor, at_most};
    const Wait waiting{*this, timer};
    const auto were_told = [this] {
        const std::scoped_lock lock{mutex_};
        return std::exchange(told_, false);
    };
    if (were_told()) co_return true;
    co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
    co_return were_told();
}

StreamStart::~StreamStart()
{
    try {
        if (outbox) outbox->close();
    } catch (...) { // NOLINT(bugprone-empty-catch): for want of memory; who sends next sees that it is closed
    }
}

void Outbox::send(std::string text)
{
    {
        const std::scoped_lock lock{mutex_};
        if (!open_) return;
        if (unsent_.size() + text.size() > max_unsent_bytes) {
            open_ = false;
        } else {
            unsent_.append(text);
            unsent_bytes_.add(text.size());
        }
    }
    news_->tell();
}

bool Outbox::is_open() const noexcept
{
    const std::scoped_lock lock{mutex_};
    return open_;
}

asio::awaitable<std::string> Outbox::next()
{
    was_sent();
    do {
        if (auto text = take(); !text.empty() || !is_open()) co_return text;
    } while (co_await news_->wait(heartbeat));
    co_return ": still here\n\n";
}

void Outbox::was_sent()
{
    if (sending_ == 0) return;
    {
        const std::scoped_lock lock{mutex_};
        unsent_bytes_.remove(std::exchange(sending_, 0));
        if (!unsent_.empty()) return;
    }
    if (events_.sent) events_.sent();
}

void Outbox::close()
{
    {
        const std::scoped_lock lock{mutex_};
        open_ = false;
    }
    news_->tell();
    const auto events = std::exchange(events_, {}); // which may hold what holds this
    if (events.closed) events.closed();
}

std::string Outbox::take()
{
    const std::scoped_lock lock{mutex_};
    sending_ = unsent_.size();
    return std::exchange(unsent_, {});
}

void Answer::put(Outcome outcome) noexcept
{
    {
        const std::scoped_lock lock{mutex_};
        if (std::exchange(given_, true)) return;
        outcome_.emplace(std::move(outcome));
    }
    news_->tell();
}

asio::awaitable<Outcome> Answer::get()
{
    for (;;) {
        {
            const std::scoped_lock lock{mutex_};
            if (outcome_) co_return *std::move(outcome_);
        }
        co_await news_->wait(longest_unnoticed);
    }
}

std::shared_ptr<Outbox> Responder::Channel::begin_stream(Headers headers, StreamEvents events)
{
    auto outbox = std::make_shared<Outbox>(std::move(events), unsent_);
    put(StreamStart{std::move(headers), outbox});
    return outbox;
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

void Responder::fail(const std::exception_ptr& reason) const noexcept
{
    auto failure = failure_of(reason);
    try {
        if (observer_) observer_(failure.status);
    } catch (...) { // NOLINT(bugprone-empty-catch): it is answered all the same
    }
    channel_->put(std::move(failure));
}

std::shared_ptr<EventStream> Responder::stream(Headers headers, StreamEvents events) const
{
    if (observer_) observer_(200);
    return channel_->begin_stream(std::move(headers), std::move(events));
}

} // namespace http
