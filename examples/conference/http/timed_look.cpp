// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "timed_look.hpp"

#include "problem.hpp"

namespace http {

TimedLook::TimedLook(Parts parts, std::chrono::milliseconds patience) : parts_{std::move(parts)}, patience_{patience} {}

void TimedLook::answer(const Responder& responder)
{
    const auto now = std::chrono::steady_clock::now();
    std::unique_lock lock{mutex_};
    if (const auto overdue = overdue_at(now)) {
        const Response response = parts_.response(overdue);
        lock.unlock();
        return responder.respond(response);
    }
    waiting_.push_back(responder);
    if (is_looking_ || begin_look(now)) return;
    waiting_.pop_back();
    lock.unlock();
    responder.respond(busy());
}

/// With the lock held.
bool TimedLook::begin_look(Time now)
{
    parts_.begin();
    began_ = now;
    is_looking_ = keep_time(patience_) && pool_.try_run([this] { look(); });
    return is_looking_;
}

/// With the lock held.
bool TimedLook::keep_time(std::chrono::milliseconds until_overdue)
{
    if (!is_timed_) is_timed_ = pool_.run_after(until_overdue, [this] { answer_overdue(); });
    return is_timed_;
}

void TimedLook::look() noexcept
{
    bool is_whole = true;
    try {
        parts_.look();
    } catch (...) {
        is_whole = false;
    }
    std::vector<Responder> waiting;
    std::optional<Response> response;
    {
        const std::scoped_lock lock{mutex_};
        is_looking_ = false;
        waiting.swap(waiting_);
        try {
            if (is_whole) response = parts_.response(std::nullopt);
        } catch (...) { // NOLINT(bugprone-empty-catch): no memory; the answer is 503 then
        }
    }
    for (const Responder& responder : waiting) responder.respond_with([&] { return response ? *response : busy(); });
}

void TimedLook::answer_overdue()
{
    const auto now = std::chrono::steady_clock::now();
    std::vector<Responder> waiting;
    Response response;
    {
        const std::scoped_lock lock{mutex_};
        is_timed_ = false;
        if (!is_looking_) return;
        const auto overdue = overdue_at(now);
        if (!overdue) { // it is another look than the one that it was set for
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(began_ + patience_ - now);
            (void)keep_time(left);
            return;
        }
        response = parts_.response(overdue);
        waiting.swap(waiting_);
    }
    for (const Responder& responder : waiting) responder.respond_with([&] { return response; });
}

TimedLook::Overdue TimedLook::overdue_at(Time now) const
{
    if (!is_looking_ || now - began_ < patience_) return std::nullopt;
    return std::chrono::duration_cast<std::chrono::milliseconds>(now - began_);
}

} // namespace http
