// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <utility>

namespace escqrs::detail {

/// Has the work of many threads done in groups, each by one of them.
///
/// A caller that finds nobody at work, or fewer than may be, does its own at once, with that of all who wait; then it hands
/// over to one of those that came meanwhile. So there is no thread in between, a lone caller never waits, and under load the
/// groups grow.
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
    /// @param max_groups      that may be worked on at once
    explicit GroupQueue(std::size_t max_group_size, std::size_t max_groups = 1) noexcept
        : max_group_size_{max_group_size}, max_groups_{max_groups}
    {
    }

    /// Returns when `self` was in a group for which `work(first)` was called, on whichever of their threads.
    /// @param work  must not throw; goes through the group by `next`
    template <class Work>
    void take_part(Caller& self, Work work);

private:
    Caller* take_group() noexcept;

    std::size_t max_group_size_;
    std::size_t max_groups_;
    std::mutex mutex_;
    Caller* first_ = nullptr;
    Caller* last_ = nullptr;
    std::size_t groups_ = 0; ///< worked on
};

template <class Caller>
template <class Work>
void GroupQueue<Caller>::take_part(Caller& self, Work work)
{
    using State = typename Entry::State;
    std::unique_lock lock{mutex_};
    const bool is_alone = first_ == nullptr; // else somebody is about to take a group of those who wait
    (is_alone ? first_ : last_->next) = &self;
    last_ = &self;
    if (is_alone && groups_ < max_groups_) ++groups_;
    else self.woken.wait(lock, [&] { return self.state != State::waits; });
    if (self.state == State::is_done) return;

    Caller* const group = take_group(); // begins with self
    lock.unlock();
    work(group);
    lock.lock();
    if (first_ == nullptr || first_->state == State::leads) {
        --groups_;
    } else {
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
