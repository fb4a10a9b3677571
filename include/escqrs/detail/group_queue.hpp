// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <utility>

namespace escqrs::detail {

/// Has the work of many threads done in groups, by one of them at a time.
///
/// A caller that finds nobody at work does its own at once, with that of all who wait; then it hands over to one of those that
/// came meanwhile. So there is no thread in between, a lone caller never waits, and under load the groups grow.
/// `Caller` derives from `GroupQueue<Caller>::Entry`, and lives on its thread's stack.
/// @par Thread safety  may be called from any thread
template <class Caller>
class GroupQueue {
public:
    struct Entry {
        enum class State : std::uint8_t { waits, leads, is_done };

        Caller* next = nullptr; ///< of the same group
        State state = State::waits;
        std::condition_variable woken;
    };

    /// @param max_group_size  bounds the time a caller waits for others' work
    explicit GroupQueue(std::size_t max_group_size) noexcept : max_group_size_{max_group_size} {}

    /// Returns when `self` was in a group for which `work(first)` was called, on whichever of their threads. Groups follow
    /// one after the other.
    /// @param work  must not throw; goes through the group by `next`
    template <class Work>
    void take_part(Caller& self, Work work);

private:
    Caller* take_group() noexcept;

    std::size_t max_group_size_;
    std::mutex mutex_;
    Caller* first_ = nullptr;
    Caller* last_ = nullptr;
    bool is_led_ = false;
};

template <class Caller>
template <class Work>
void GroupQueue<Caller>::take_part(Caller& self, Work work)
{
    using State = typename Entry::State;
    std::unique_lock lock{mutex_};
    (first_ == nullptr ? first_ : last_->next) = &self;
    last_ = &self;
    if (is_led_) self.woken.wait(lock, [&] { return self.state != State::waits; });
    if (self.state == State::is_done) return;

    is_led_ = true;
    Caller* const group = take_group(); // begins with self
    lock.unlock();
    work(group);
    lock.lock();
    is_led_ = first_ != nullptr;
    if (is_led_) {
        first_->state = State::leads;
        first_->woken.notify_one();
    }
    // Woken under the lock: once a caller can see that it is done, it is gone.
    for (Caller* caller = self.next; caller != nullptr;) {
        Caller* const next = caller->next;
        caller->state = State::is_done;
        caller->woken.notify_one();
        caller = next;
    }
}

template <class Caller>
Caller* GroupQueue<Caller>::take_group() noexcept
{
    Caller* const group = first_;
    Caller* end = group;
    for (std::size_t size = 1; size < max_group_size_ && end->next != nullptr; ++size) end = end->next;
    first_ = std::exchange(end->next, nullptr);
    return group;
}

} // namespace escqrs::detail
