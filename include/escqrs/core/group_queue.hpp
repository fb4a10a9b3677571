// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// Shared by rooms; not API.

#include <escqrs/core/detail/parker.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>

namespace escqrs::inline v0::detail {

/// Batches work from many threads; one caller runs each batch.
///
/// A caller that finds fewer groups at work than allowed runs its own work at once, together with that of the callers
/// before it, up to the size of a group. So there is no extra thread, a lone caller never waits, and under load the
/// groups grow. When a group is done, it wakes the first waiting caller to run the next one; a caller that comes before
/// that one is awake runs it instead. `Caller` derives from `GroupQueue<Caller>::Entry`, and lives on its thread's
/// stack.
/// @par Thread safety  may be called from any thread
template <class Caller>
class GroupQueue {
public:
    struct Entry {
        Caller* next = nullptr; ///< of the same group
        bool is_in_group = false;
        std::atomic<bool> is_done = false;
        std::shared_ptr<Parker> parker = Parker::of_this_thread();
    };

    /// @param max_group_size  bounds the time a caller waits for others' work; 0 counts as 1
    /// @param max_groups      that may be worked on at once; 0 counts as 1
    explicit GroupQueue(std::size_t max_group_size, std::size_t max_groups = 1) noexcept
        : max_group_size_{max_group_size == 0 ? 1 : max_group_size}, max_groups_{max_groups == 0 ? 1 : max_groups}
    {
    }

    /// Returns when `self` was in a group for which `work(first)` was called, on the thread of any caller in it.
    /// @param work  must not throw; goes through the group by `next`
    template <class Work>
    void take_part(Caller& self, Work work);

private:
    template <class Work>
    void lead(std::unique_lock<std::mutex>& lock, const Caller& self, Work& work);
    Caller* take_group() noexcept;
    static void dismiss(Caller* group, const Caller& leader);

    std::size_t max_group_size_;
    std::size_t max_groups_;
    std::mutex mutex_;
    Caller* first_ = nullptr;
    Caller* last_ = nullptr;
    std::size_t waiting_ = 0;
    std::size_t groups_ = 0; ///< at work
};

template <class Caller>
template <class Work>
void GroupQueue<Caller>::take_part(Caller& self, Work work)
{
    std::unique_lock lock{mutex_};
    (first_ == nullptr ? first_ : last_->next) = &self;
    last_ = &self;
    const bool is_in_next_group = waiting_++ < max_group_size_;
    for (;;) {
        const bool may_lead = !self.is_in_group && (is_in_next_group || first_ == &self);
        if (may_lead && groups_ < max_groups_) return lead(lock, self, work);
        lock.unlock();
        self.parker->park();
        if (self.is_done) return;
        lock.lock();
    }
}

template <class Caller>
template <class Work>
void GroupQueue<Caller>::lead(std::unique_lock<std::mutex>& lock, const Caller& self, Work& work)
{
    const auto first_parker = [this] { return first_ == nullptr ? nullptr : first_->parker; };
    const auto wake = [&lock](const std::shared_ptr<Parker>& parker) {
        lock.unlock();
        if (parker) parker->unpark();
    };
    Caller* const group = take_group();
    ++groups_;
    // The caller that was woken for the free place may be in this group.
    wake(groups_ < max_groups_ ? first_parker() : nullptr);
    work(group);
    lock.lock();
    --groups_;
    wake(first_parker());
    dismiss(group, self);
}

/// Parker of the caller that has waited longest.
template <class Caller>
Caller* GroupQueue<Caller>::take_group() noexcept
{
    Caller* const group = first_;
    Caller* last = nullptr;
    for (std::size_t size = 0; size < max_group_size_ && first_ != nullptr; ++size) {
        last = std::exchange(first_, first_->next);
        last->is_in_group = true;
        --waiting_;
    }
    last->next = nullptr;
    return group;
}

template <class Caller>
void GroupQueue<Caller>::dismiss(Caller* group, const Caller& leader)
{
    while (group != nullptr) {
        Caller* const caller = std::exchange(group, group->next);
        if (caller == &leader) continue;
        const std::shared_ptr<Parker> parker = caller->parker;
        caller->is_done = true; // from here on it may be gone
        parker->unpark();
    }
}

} // namespace escqrs::inline v0::detail
