// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/stop_token.hpp>

#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

namespace test {

/// An executor that keeps its tasks until a test, or a thread of its, runs them.
class TaskQueue {
public:
    using Task = std::function<void()>;

    /// The queue must outlive it.
    auto executor()
    {
        return [this](Task task) {
            const std::scoped_lock lock{mutex_};
            tasks_.push_back(std::move(task));
        };
    }

    std::size_t size() const
    {
        const std::scoped_lock lock{mutex_};
        return tasks_.size();
    }

    bool run_oldest()
    {
        const Task task = take_oldest();
        if (task) task();
        return static_cast<bool>(task);
    }

    void run_newest() { take_newest()(); }

    void run_all()
    {
        while (run_oldest()) {}
    }

    void drop_oldest() { take_oldest(); }
    void drop_newest() { take_newest(); }

    /// Runs tasks until it is stopped and there are none.
    void work(const escqrs::stop_token& stop)
    {
        while (run_oldest() || !stop.stop_requested()) std::this_thread::yield();
    }

private:
    Task take_oldest()
    {
        const std::scoped_lock lock{mutex_};
        if (tasks_.empty()) return {};
        Task task = std::move(tasks_.front());
        tasks_.pop_front();
        return task;
    }

    Task take_newest()
    {
        const std::scoped_lock lock{mutex_};
        if (tasks_.empty()) return {};
        Task task = std::move(tasks_.back());
        tasks_.pop_back();
        return task;
    }

    mutable std::mutex mutex_;
    std::deque<Task> tasks_;
};

} // namespace test
