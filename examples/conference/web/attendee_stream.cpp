// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "attendee_stream.hpp"

#include "../http/problem.hpp"
#include "attendee_json.hpp"

#include <escqrs/core/backoff.hpp>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <chrono>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace conference::web {
namespace {

namespace json = boost::json;

constexpr std::chrono::milliseconds retry_delay{50}; ///< when the pool is full, or the first time that reading fails
constexpr std::chrono::milliseconds longest_retry_delay{5000};

/// One client that follows one attendee. It is busy from the moment that it wants to read until the client's socket has
/// taken what was read; what happens meanwhile is looked at after that.
class AttendeeStream : public std::enable_shared_from_this<AttendeeStream> {
public:
    AttendeeStream(ApiSharePtr api, const AttendeeId& id, escqrs::StreamVersion seen)
        : api_{std::move(api)}, id_{id}, seen_{seen}
    {
    }

    /// Runs on the pool.
    void begin(const http::Responder& responder)
    {
        try {
            if (auto problem = api_->problem_in([&] { start(responder); })) responder.respond(*std::move(problem));
            else update();
        } catch (...) {
            responder.fail(std::current_exception());
        }
    }

private:
    void start(const http::Responder& responder)
    {
        if (!api_->parts.queries.find(id_)) throw escqrs::AggregateNotFound{{Attendee::category, id_.value()}};
        std::shared_ptr<AttendeeWatcher::Watch> watch =
            api_->parts.watcher.watch(id_, [self = weak_from_this()](const AttendeeView&) {
                if (const auto alive = self.lock()) alive->changed();
            });
        auto stream = responder.stream(
            {{"Content-Type", "text/event-stream"}, {"Cache-Control", "no-store"}, {"X-Accel-Buffering", "no"}},
            {[self = shared_from_this()] { self->sent(); }, [self = shared_from_this()] { self->closed(); }});
        const std::scoped_lock lock{mutex_};
        if (!stream->is_open()) return;
        stream_ = std::move(stream);
        watch_ = std::move(watch);
    }

    /// On the watcher's thread.
    void changed()
    {
        {
            const std::scoped_lock lock{mutex_};
            is_behind_ = true;
            if (std::exchange(is_busy_, true)) return;
        }
        update_soon();
    }

    /// On a thread of the server: the socket has taken the last message.
    void sent()
    {
        {
            const std::scoped_lock lock{mutex_};
            backoff_.reset();
            is_first_ = false;
            is_busy_ = is_behind_;
            if (!is_busy_) return;
        }
        update_soon();
    }

    /// On a thread of the server, which must not wait for the watcher: the watch ends on the pool.
    void closed()
    {
        std::shared_ptr<AttendeeWatcher::Watch> watch;
        {
            const std::scoped_lock lock{mutex_};
            stream_.reset();
            watch = std::move(watch_);
        }
        if (!watch) return;
        const auto end = [watch = std::move(watch)] {};
        if (!api_->parts.query_pool.try_run(end)) api_->parts.query_pool.run_after(retry_delay, end);
    }

    void update_soon()
    {
        const auto work = [self = shared_from_this()] { self->update(); };
        if (!api_->parts.query_pool.try_run(work)) api_->parts.query_pool.run_after(retry_delay, work);
    }

    /// Sends the next message, if there is news. On the pool; one at a time.
    void update()
    {
        const auto seen = seen_;
        try {
            if (send_next()) return; // `sent` continues from here
        } catch (...) {
            seen_ = seen;
            api_->log("web: stream: " + escqrs::text_of(std::current_exception()));
            api_->parts.query_pool.run_after(std::chrono::ceil<std::chrono::milliseconds>(backoff_.next()),
                                             [self = shared_from_this()] { self->update(); });
            return;
        }
        {
            const std::scoped_lock lock{mutex_};
            is_busy_ = is_behind_;
            if (!is_busy_) return;
        }
        update_soon();
    }

    /// @return whether there was anything to send
    bool send_next()
    {
        std::shared_ptr<http::EventStream> stream;
        bool is_first = false;
        {
            const std::scoped_lock lock{mutex_};
            stream = stream_;
            is_first = is_first_;
            is_behind_ = false;
        }
        if (!stream) return false;
        const auto view = api_->parts.queries.find(id_);
        if (!view || (!is_first && view->version <= seen_)) return false;
        auto page = history(api_->parts.store, id_, seen_, view->version);
        if (page.next) {
            const std::scoped_lock lock{mutex_};
            is_behind_ = true;
        }
        seen_ = page.next.value_or(view->version);
        const json::object message{{"attendee", to_json(*view)}, {"events", std::move(page.events)}};
        stream->send("id: " + std::to_string(seen_.value()) + "\nevent: attendee\ndata: " + json::serialize(message) +
                     "\n\n");
        return true;
    }

    const ApiSharePtr api_;
    const AttendeeId id_;

    // For `update`, and for `sent`, which follows it.
    escqrs::StreamVersion seen_; ///< by the client, when what was sent has arrived
    escqrs::Backoff backoff_{retry_delay, longest_retry_delay};

    std::mutex mutex_; ///< held for moments only; of what follows
    std::shared_ptr<http::EventStream> stream_;
    std::shared_ptr<AttendeeWatcher::Watch> watch_;
    bool is_first_ = true; ///< nothing was sent yet: the client waits for the attendee, with or without events
    bool is_busy_ = true;
    bool is_behind_ = false; ///< there may be more to send
};

} // namespace

void stream_attendee(const ApiSharePtr& api, const AttendeeId& id, escqrs::StreamVersion seen,
                     const http::Responder& responder)
{
    const auto stream = std::make_shared<AttendeeStream>(api, id, seen);
    api->run_in_time(api->parts.query_pool, responder, [stream, responder] { stream->begin(responder); });
}

} // namespace conference::web
