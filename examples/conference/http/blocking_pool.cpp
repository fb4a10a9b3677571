// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "blocking_pool.hpp"

#include "rate_limited_log.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <exception>
#include <mutex>
#include <unordered_set>
#include <utility>

namespace http {

namespace asio = boost::asio;

class BlockingPool::Implementation {
public:
    Implementation(std::size_t threads, std::size_t max_waiting, Log log)
        : max_waiting_{max_waiting}, log_{std::move(log)}, pool_{threads}
    {
    }

    bool try_run(std::function<void()> work)
    {
        if (stopped_) return false;
        Place place{waiting_};
        if (place.number() > max_waiting_) return false;
        asio::post(pool_, [this, place = std::move(place), work = std::move(work)]() mutable {
            place.leave();
            if (!stopped_) run(work);
        });
        return true;
    }

    bool run_after(std::chrono::milliseconds delay, std::function<void()> work)
    {
        const std::scoped_lock lock{mutex_};
        if (stopped_) return false;
        const auto timer = std::make_shared<asio::steady_timer>(pool_, delay);
        timers_.insert(timer);
        timer->async_wait([this, timer, work = std::move(work)](const boost::system::error_code&) {
            {
                const std::scoped_lock done{mutex_};
                timers_.erase(timer);
            }
            run(work);
        });
        return true;
    }

    void stop()
    {
        {
            const std::scoped_lock lock{mutex_};
            stopped_ = true;
            for (const auto& timer : timers_) timer->cancel();
        }
        pool_.join();
    }

private:
    /// A place in the queue; free again when it is left, or when the work fails to start.
    class Place {
    public:
        explicit Place(std::atomic<std::size_t>& taken) : taken_{&taken}, number_{taken.fetch_add(1) + 1} {}
        Place(Place&& other) noexcept : taken_{std::exchange(other.taken_, nullptr)}, number_{other.number_} {}
        Place& operator=(Place&&) = delete;
        ~Place() { leave(); }

        std::size_t number() const noexcept { return number_; }
        void leave() noexcept
        {
            if (auto* const taken = std::exchange(taken_, nullptr)) --*taken;
        }

    private:
        std::atomic<std::size_t>* taken_;
        std::size_t number_;
    };

    void run(const std::function<void()>& work) noexcept
    {
        try {
            work();
        } catch (const std::exception& error) {
            log_(error.what());
        } catch (...) {
            log_("http: work of the pool ended with an exception of an unknown type");
        }
    }

    std::size_t max_waiting_;
    RateLimitedLog log_;
    std::atomic<std::size_t> waiting_{0};
    std::mutex mutex_;
    std::unordered_set<std::shared_ptr<asio::steady_timer>> timers_;
    std::atomic<bool> stopped_{false};
    asio::thread_pool pool_;
};

BlockingPool::BlockingPool(std::size_t threads, std::size_t max_waiting, Log log)
    : implementation_{std::make_unique<Implementation>(threads, max_waiting, std::move(log))}
{
}

BlockingPool::~BlockingPool() { stop(); } // NOLINT(bugprone-exception-escape): no one to report to

bool BlockingPool::try_run(std::function<void()> work) { return implementation_->try_run(std::move(work)); }

bool BlockingPool::run_after(std::chrono::milliseconds delay, std::function<void()> work)
{
    return implementation_->run_after(delay, std::move(work));
}

void BlockingPool::stop() { implementation_->stop(); }

} // namespace http
