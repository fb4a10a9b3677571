// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <atomic>
#include <chrono>
#include <concepts>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <utility>

// What the standard library has in <stop_token>, its jthread, and a condition variable that waits for a stop as well: for
// standard libraries without them. Members do what the standard says.
namespace escqrs::inline v0::detail::own {

/// A callback as its stop state knows it: an entry of a doubly linked list.
struct StopEntry {
    void (*run)(StopEntry&) noexcept = nullptr;
    StopEntry* previous = nullptr;
    StopEntry* next = nullptr;
    bool is_listed = false;
};

/// What the sources, tokens and callbacks of one stop share.
class StopState {
public:
    bool is_requested() const noexcept { return is_requested_.load(std::memory_order_acquire); }

    /// Runs the callbacks in this thread, one after the other, and without the lock.
    /// @return false if it was requested before
    bool request() noexcept
    {
        std::unique_lock lock{mutex_};
        if (is_requested()) return false;
        is_requested_.store(true, std::memory_order_release);
        requester_ = std::this_thread::get_id();
        while (first_ != nullptr) {
            StopEntry& entry = *first_;
            unlist(entry);
            running_ = &entry;
            lock.unlock();
            entry.run(entry); // may destroy the entry
            lock.lock();
            running_ = nullptr;
            ran_.notify_all();
        }
        return true;
    }

    /// @return false if the stop was requested before: then the entry is not listed
    bool add(StopEntry& entry) noexcept
    {
        const std::scoped_lock lock{mutex_};
        if (is_requested()) return false;
        entry.next = first_;
        if (first_ != nullptr) first_->previous = &entry;
        first_ = &entry;
        entry.is_listed = true;
        return true;
    }

    /// Waits for the callback if another thread is running it.
    void remove(StopEntry& entry) noexcept
    {
        std::unique_lock lock{mutex_};
        if (entry.is_listed) return unlist(entry);
        if (requester_ == std::this_thread::get_id()) return;
        ran_.wait(lock, [&] { return running_ != &entry; });
    }

private:
    void unlist(StopEntry& entry) noexcept
    {
        (entry.previous == nullptr ? first_ : entry.previous->next) = entry.next;
        if (entry.next != nullptr) entry.next->previous = entry.previous;
        entry.is_listed = false;
    }

    std::mutex mutex_;
    std::condition_variable ran_;
    std::atomic<bool> is_requested_{false};
    std::thread::id requester_;
    StopEntry* first_ = nullptr;
    StopEntry* running_ = nullptr;
};

class stop_token {
public:
    stop_token() noexcept = default;

    bool stop_requested() const noexcept { return state_ != nullptr && state_->is_requested(); }
    bool stop_possible() const noexcept { return stop_requested() || !sources_.expired(); }
    void swap(stop_token& other) noexcept { std::swap(*this, other); }

    friend bool operator==(const stop_token& left, const stop_token& right) noexcept
    {
        return left.state_ == right.state_;
    }
    friend void swap(stop_token& left, stop_token& right) noexcept { left.swap(right); }

private:
    friend class stop_source;
    template <class Callback>
    friend class stop_callback;

    std::shared_ptr<StopState> state_;
    std::weak_ptr<const bool> sources_; ///< expires with the last source
};

struct nostopstate_t {
    explicit nostopstate_t() = default;
};
inline constexpr nostopstate_t nostopstate{};

class stop_source {
public:
    stop_source() : sources_{std::make_shared<const bool>()}
    {
        token_.state_ = std::make_shared<StopState>();
        token_.sources_ = sources_;
    }
    explicit stop_source(nostopstate_t) noexcept {}

    bool request_stop() const noexcept
    {
        const std::shared_ptr<StopState> state = token_.state_; // a callback may destroy *this
        return state != nullptr && state->request();
    }
    stop_token get_token() const noexcept { return token_; }
    bool stop_requested() const noexcept { return token_.stop_requested(); }
    bool stop_possible() const noexcept { return token_.state_ != nullptr; }
    void swap(stop_source& other) noexcept { std::swap(*this, other); }

    friend bool operator==(const stop_source& left, const stop_source& right) noexcept
    {
        return left.token_ == right.token_;
    }
    friend void swap(stop_source& left, stop_source& right) noexcept { left.swap(right); }

private:
    std::shared_ptr<const bool> sources_;
    stop_token token_;
};

template <class Callback>
class [[nodiscard]] stop_callback : StopEntry {
public:
    using callback_type = Callback;

    template <class Given>
        requires std::constructible_from<Callback, Given>
    explicit stop_callback(stop_token token, Given&& given) noexcept(std::is_nothrow_constructible_v<Callback, Given>)
        : StopEntry{[](StopEntry& entry) noexcept { std::invoke(static_cast<stop_callback&>(entry).callback_); }},
          callback_(std::forward<Given>(given)), state_{std::move(token.state_)}
    {
        if (state_ != nullptr && !state_->add(*this)) run(*this);
    }
    stop_callback(const stop_callback&) = delete;
    stop_callback& operator=(const stop_callback&) = delete;
    ~stop_callback()
    {
        if (state_ != nullptr) state_->remove(*this);
    }

private:
    Callback callback_;
    std::shared_ptr<StopState> state_;
};

template <class Callback>
stop_callback(stop_token, Callback) -> stop_callback<Callback>;

class jthread {
public:
    using id = std::thread::id;

    jthread() noexcept = default;
    template <class Function, class... Args>
        requires(!std::same_as<std::remove_cvref_t<Function>, jthread>)
    explicit jthread(Function&& function, Args&&... args) : stop_{stop_source{}}
    {
        if constexpr (std::invocable<std::decay_t<Function>, stop_token, std::decay_t<Args>...>)
            thread_ = std::thread{std::forward<Function>(function), stop_.get_token(), std::forward<Args>(args)...};
        else thread_ = std::thread{std::forward<Function>(function), std::forward<Args>(args)...};
    }
    jthread(jthread&& other) noexcept { swap(other); }
    jthread& operator=(jthread&& other) noexcept
    {
        jthread{std::move(other)}.swap(*this);
        return *this;
    }
    ~jthread()
    {
        if (!joinable()) return;
        request_stop();
        join();
    }

    bool joinable() const noexcept { return thread_.joinable(); }
    void join() { thread_.join(); }
    void detach() { thread_.detach(); }
    id get_id() const noexcept { return thread_.get_id(); }
    auto native_handle() { return thread_.native_handle(); }
    static unsigned hardware_concurrency() noexcept { return std::thread::hardware_concurrency(); }
    stop_source get_stop_source() noexcept { return stop_; }
    stop_token get_stop_token() const noexcept { return stop_.get_token(); }
    bool request_stop() noexcept { return stop_.request_stop(); }
    void swap(jthread& other) noexcept
    {
        thread_.swap(other.thread_);
        stop_.swap(other.stop_);
    }
    friend void swap(jthread& left, jthread& right) noexcept { left.swap(right); }

private:
    stop_source stop_{nostopstate};
    std::thread thread_;
};

/// `std::condition_variable_any`, whose waits for a stop need its inner lock.
class condition_variable_any {
public:
    using Time = std::chrono::steady_clock::time_point;

    condition_variable_any() = default;
    condition_variable_any(const condition_variable_any&) = delete;
    condition_variable_any& operator=(const condition_variable_any&) = delete;
    ~condition_variable_any() = default;

    void notify_one() noexcept
    {
        const std::scoped_lock lock{*mutex_};
        woken_.notify_one();
    }
    void notify_all() noexcept
    {
        const std::scoped_lock lock{*mutex_};
        woken_.notify_all();
    }

    template <class Lock>
    void wait(Lock& lock)
    {
        wait_once(lock, {}, Time::max());
    }
    template <class Lock, class Ready>
    void wait(Lock& lock, Ready ready)
    {
        wait_for_stop(lock, {}, Time::max(), ready);
    }
    template <class Lock, class Ready>
    bool wait(Lock& lock, stop_token stop, Ready ready)
    {
        return wait_for_stop(lock, std::move(stop), Time::max(), ready);
    }

    template <class Lock, class Rep, class Period>
    std::cv_status wait_for(Lock& lock, const std::chrono::duration<Rep, Period>& at_most)
    {
        return wait_once(lock, {}, in(at_most));
    }
    template <class Lock, class Rep, class Period, class Ready>
    bool wait_for(Lock& lock, const std::chrono::duration<Rep, Period>& at_most, Ready ready)
    {
        return wait_for_stop(lock, {}, in(at_most), ready);
    }
    template <class Lock, class Rep, class Period, class Ready>
    bool wait_for(Lock& lock, stop_token stop, const std::chrono::duration<Rep, Period>& at_most, Ready ready)
    {
        return wait_for_stop(lock, std::move(stop), in(at_most), ready);
    }

    // Of the clocks that the standard allows, the steady one.
    template <class Lock>
    std::cv_status wait_until(Lock& lock, Time end)
    {
        return wait_once(lock, {}, end);
    }
    template <class Lock, class Ready>
    bool wait_until(Lock& lock, Time end, Ready ready)
    {
        return wait_for_stop(lock, {}, end, ready);
    }
    template <class Lock, class Ready>
    bool wait_until(Lock& lock, stop_token stop, Time end, Ready ready)
    {
        return wait_for_stop(lock, std::move(stop), end, ready);
    }

private:
    template <class Rep, class Period>
    static Time in(const std::chrono::duration<Rep, Period>& duration)
    {
        return Time::clock::now() + std::chrono::ceil<Time::duration>(duration);
    }

    /// A stop that is requested from here on wakes it: the callback takes the inner lock, too.
    template <class Lock>
    std::cv_status wait_once(Lock& lock, const stop_token& stop, Time end)
    {
        const std::shared_ptr<std::mutex> mutex = mutex_; // a thread that has been woken may outlive *this
        std::unique_lock inner{*mutex};
        if (stop.stop_requested()) return std::cv_status::no_timeout;
        lock.unlock();
        std::cv_status status = std::cv_status::no_timeout;
        if (end == Time::max()) woken_.wait(inner);
        else status = woken_.wait_until(inner, end);
        inner.unlock();
        lock.lock();
        return status;
    }

    template <class Lock, class Ready>
    bool wait_for_stop(Lock& lock, stop_token stop, Time end, Ready& ready)
    {
        if (stop.stop_requested()) return ready();
        const stop_callback wakes{stop, [this] { notify_all(); }};
        while (!ready()) {
            if (stop.stop_requested()) return false;
            if (wait_once(lock, stop, end) == std::cv_status::timeout) return ready();
        }
        return true;
    }

    std::shared_ptr<std::mutex> mutex_ = std::make_shared<std::mutex>();
    std::condition_variable woken_;
};

} // namespace escqrs::inline v0::detail::own
