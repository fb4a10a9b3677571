// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/check_option.hpp>

#include <atomic>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <type_traits>
#include <unordered_map>
#include <utility>

namespace escqrs::inline v0 {

/// Runs tasks that have the same key one after the other, in the order in which they were given, and those with
/// different keys in parallel.
///
/// It has no threads: `Executor` is called as `executor(std::function<void()>)`, from any thread, and runs the task, at
/// once or later, on any thread. No thread waits for a turn: a task that follows another is kept here and given to the
/// executor when that one has ended. Each key's queue is destroyed with its last task.
///
/// `Executor` should be a handle on its threads, not their owner: the last task may outlive this object, and then the
/// thread that ran it destroys the handle.
///
/// If the executor throws or destroys a task without running it, that task and those queued after it are destroyed.
/// @par Thread safety  any thread; the queues outlive this object until the executor is done with them
template <class Executor>
class KeyedExecutor {
    static_assert(std::is_invocable_v<Executor&, std::function<void()>>,
                  "escqrs: an executor is called with (std::function<void()>) and runs it, at once or later");

public:
    using Task = std::function<void()>; ///< runs once, or is destroyed without running

    /// @throws InvalidOption if `executor` is an empty `std::function`
    explicit KeyedExecutor(Executor executor) : state_{std::make_shared<State>(std::move(executor))}
    {
        if constexpr (std::is_same_v<Executor, std::function<void(Task)>>)
            detail::check_given(state_->executor, "executor");
    }

    /// Runs `task` in its turn. What it throws reaches the executor, once the next task of its key has been given to
    /// it.
    /// @throws what the executor throws
    void run(std::string key, Task task);

    /// Runs a task that has no key.
    void run(Task task) { state_->executor(std::move(task)); }

    /// How many keys have tasks that are running or waiting.
    std::size_t busy_keys() const
    {
        const std::scoped_lock lock{state_->mutex};
        return state_->queues.size();
    }

private:
    class Turn;

    using Queues = std::unordered_map<std::string, std::deque<Task>>;

    struct State {
        explicit State(Executor given) : executor{std::move(given)} {}

        Executor executor;
        mutable std::mutex mutex;
        Queues queues; ///< of the keys that have a turn under way
    };

    std::shared_ptr<State> state_;
};

/// The right of a key's first task to run. If it is destroyed without having been taken, so are all tasks that wait
/// after it.
template <class Executor>
class KeyedExecutor<Executor>::Turn {
public:
    /// For the executor's own use: the first task of `key` is queued in `state`.
    Turn(std::shared_ptr<State> state, std::string key) : state_{std::move(state)}, key_{std::move(key)} {}
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    ~Turn()
    {
        if (!state_) return;
        std::deque<Task> dropped; // destroyed without the lock: their destructors may do anything
        const std::scoped_lock lock{state_->mutex};
        const auto queue = state_->queues.find(key_);
        if (queue == state_->queues.end()) return;
        dropped.swap(queue->second);
        state_->queues.erase(queue);
    }

    /// Runs the first task and gives the next one to the executor. Does nothing if it has been taken.
    /// @throws what the task throws, after that
    void take()
    {
        if (giver_ == std::this_thread::get_id()) {
            is_due_ = true;
            return;
        }
        const std::shared_ptr<State> state = std::move(state_);
        if (!state) return;
        std::exception_ptr failure;
        while (run_first(*state, failure) && is_next_due_here(state)) {}
        if (failure) std::rethrow_exception(failure);
    }

private:
    bool run_first(State& state, std::exception_ptr& failure) const;
    bool is_next_due_here(const std::shared_ptr<State>& state);

    std::shared_ptr<State> state_; ///< null once it has been taken
    std::string key_;
    /// The thread that is giving it to the executor, after another task.
    std::atomic<std::thread::id> giver_{};
    /// The executor ran it on that thread at once; known to that thread alone.
    bool is_due_ = false;
};

/// @param failure  receives what the task throws
/// @return whether there are more
template <class Executor>
bool KeyedExecutor<Executor>::Turn::run_first(State& state, std::exception_ptr& failure) const
{
    Task task;
    {
        const std::scoped_lock lock{state.mutex};
        auto& waiting = state.queues.find(key_)->second;
        task = std::move(waiting.front());
        waiting.pop_front();
    }
    try {
        task();
    } catch (...) {
        failure = std::current_exception();
    }
    task = nullptr;
    const std::scoped_lock lock{state.mutex};
    const auto queue = state.queues.find(key_);
    if (!queue->second.empty()) return true;
    state.queues.erase(queue);
    return false;
}

/// Passes the next turn to the executor.
/// @return whether the executor runs it on this thread at once: then the caller runs it, so that the stack does not
///         grow with the number of tasks
template <class Executor>
bool KeyedExecutor<Executor>::Turn::is_next_due_here(const std::shared_ptr<State>& state)
{
    std::shared_ptr<Turn> next;
    try {
        next = std::make_shared<Turn>(state, key_);
        next->giver_ = std::this_thread::get_id();
        state->executor(Task{[next] { next->take(); }});
    } catch (...) { // destroys the tasks, which reports to their owners
        if (!next) state_ = state;
    }
    if (!next) return false;
    next->giver_ = std::thread::id{};
    if (next->is_due_) next->state_.reset();
    return next->is_due_;
}

template <class Executor>
void KeyedExecutor<Executor>::run(std::string key, Task task)
{
    std::shared_ptr<Turn> turn; // if this fails half-way, it is destroyed after the lock, with the queue
    {
        const std::scoped_lock lock{state_->mutex};
        if (!state_->queues.contains(key)) turn = std::make_shared<Turn>(state_, key);
        state_->queues[std::move(key)].push_back(std::move(task));
    }
    if (turn) state_->executor(Task{[turn = std::move(turn)] { turn->take(); }});
}

} // namespace escqrs::inline v0
