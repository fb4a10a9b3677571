// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "blocking_pool.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <mutex>
#include <unordered_set>
#include <utility>

namespace conference::http {

namespace asio = boost::asio;

class BlockingPool::Implementation {
public:
    Implementation(std::size_t threads, std::size_t max_waiting) : max_waiting_{max_waiting}, pool_{threads} {}

    bool try_run(std::function<void()> work)
    {
        if (stopped_) {
            work();
            return true;
        }
        if (waiting_.fetch_add(1) >= max_waiting_) {
            --waiting_;
            return false;
        }
        asio::post(pool_, [this, work = std::move(work)] {
            --waiting_;
            work();
        });
        return true;
    }

    void run_after(std::chrono::milliseconds delay, std::function<void()> work)
    {
        std::unique_lock lock{mutex_};
        if (stopped_) {
            lock.unlock();
            return work();
        }
        const auto timer = std::make_shared<asio::steady_timer>(pool_, delay);
        timers_.insert(timer);
        timer->async_wait([this, timer, work = std::move(work)](const boost::system::error_code&) {
            {
                const std::scoped_lock done{mutex_};
                timers_.erase(timer);
            }
            work();
        });
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
    std::size_t max_waiting_;
    std::atomic<std::size_t> waiting_{0};
    std::mutex mutex_;
    std::unordered_set<std::shared_ptr<asio::steady_timer>> timers_;
    std::atomic<bool> stopped_{false};
    asio::thread_pool pool_;
};

BlockingPool::BlockingPool(std::size_t threads, std::size_t max_waiting)
    : implementation_{std::make_unique<Implementation>(threads, max_waiting)}
{
}

BlockingPool::~BlockingPool() { stop(); } // NOLINT(bugprone-exception-escape): nobody to tell

bool BlockingPool::try_run(std::function<void()> work) { return implementation_->try_run(std::move(work)); }

void BlockingPool::run_after(std::chrono::milliseconds delay, std::function<void()> work)
{
    implementation_->run_after(delay, std::move(work));
}

void BlockingPool::stop() { implementation_->stop(); }

} // namespace conference::http
