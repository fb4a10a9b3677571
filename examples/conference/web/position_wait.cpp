// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "position_wait.hpp"

#include "parameters.hpp"

#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <utility>

namespace conference::web {
namespace {

/// A query that is answered once the read model has reached a position, or refused when that takes too long.
class PositionWait : public std::enable_shared_from_this<PositionWait> {
public:
    PositionWait(ApiSharePtr api, http::RoutedRequest request, http::Responder responder, Work work)
        : api_{std::move(api)}, request_{std::move(request)}, responder_{std::move(responder)}, work_{std::move(work)}
    {
    }

    /// Runs on the pool.
    void begin()
    {
        try {
            auto problem = api_->problem_in([this] {
                find_event();
                wait();
            });
            if (problem) end([&] { return *std::move(problem); });
        } catch (...) {
            end([failure = std::current_exception()]() -> http::Response { std::rethrow_exception(failure); });
        }
    }

private:
    /// The position names an event, and so a stream and a version to wait for.
    void find_event()
    {
        const auto position = parse_number(request_.query.at("position"), "position", 1, INT64_MAX);
        bool found = false;
        api_->parts.store.read_log(escqrs::GlobalPosition{position - 1}, 1, [&](const escqrs::RecordedEvent& event) {
            if (event.position.value() == position && event.stream.category() == Attendee::category) {
                id_ = AttendeeId::parse(event.stream.id());
                version_ = event.version;
                found = true;
            }
            return false;
        });
        if (!found) http::refuse(400, "unknown-position", "There is no event at this position.", "position");
    }

    void wait()
    {
        auto watch = api_->parts.watcher.watch(id_, [self = weak_from_this()](const AttendeeView& view) {
            if (const auto alive = self.lock(); alive && view.version >= alive->version_) alive->reached();
        });
        {
            const std::scoped_lock lock{mutex_};
            if (ended_) return;
            watch_ = std::move(watch);
            keep_alive_ = shared_from_this();
        }
        const bool is_bounded = api_->parts.query_pool.run_after(api_->parts.max_wait, [self = weak_from_this()] {
            if (const auto alive = self.lock()) alive->give_up();
        });
        if (!is_bounded) return give_up();
        const auto view = api_->parts.queries.find(id_);
        if (view && view->version >= version_) answer();
    }

    /// On the watcher's thread, which must not be held up.
    void reached()
    {
        if (!api_->parts.query_pool.try_run([self = shared_from_this()] { self->answer(); })) give_up();
    }

    void answer()
    {
        end([this] { return api_->answer([this] { return work_(request_); }); });
    }

    void give_up()
    {
        end([] {
            return http::to_response(
                {503, "read-model-behind", "The view has not reached this position yet.", {}, {{"Retry-After", "1"}}});
        });
    }

    /// Responds, unless that is done.
    void end(escqrs::FunctionRef<http::Response()> response)
    {
        std::shared_ptr<PositionWait> last;
        std::unique_ptr<AttendeeWatcher::Watch> watch;
        {
            const std::scoped_lock lock{mutex_};
            if (std::exchange(ended_, true)) return;
            last = std::move(keep_alive_);
            watch = std::move(watch_);
        }
        responder_.respond_with(response);
    }

    ApiSharePtr api_;
    http::RoutedRequest request_;
    http::Responder responder_;
    Work work_;
    AttendeeId id_;
    escqrs::StreamVersion version_;
    std::mutex mutex_;
    bool ended_ = false;
    std::unique_ptr<AttendeeWatcher::Watch> watch_;
    std::shared_ptr<PositionWait> keep_alive_;
};

} // namespace

void answer_at_position(const ApiSharePtr& api, http::RoutedRequest request, const http::Responder& responder,
                        Work work)
{
    auto& pool = api->parts.query_pool;
    if (!request.query.contains("position")) return api->run(pool, std::move(request), responder, std::move(work));
    const auto wait = std::make_shared<PositionWait>(api, std::move(request), responder, std::move(work));
    api->run_in_time(pool, responder, [wait] { wait->begin(); });
}

} // namespace conference::web
