// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>

namespace escqrs::inline v0::detail {

/// Lets one thread wait until another releases it.
///
/// Shared by both, so that the waking thread need not hold a lock while it wakes, which the woken thread would run into
/// at once. A condition variable that is destroyed with what is waited for would need such a lock.
/// @par Thread safety  `park` may be called by its thread, `unpark` from any
class Parker {
public:
    /// The parker of the calling thread.
    static const std::shared_ptr<Parker>& of_this_thread()
    {
        thread_local const std::shared_ptr<Parker> parker = std::make_shared<Parker>();
        return parker;
    }

    /// Waits for `unpark`, or returns at once if it was called since the last time. Wake-ups may be spurious: re-check
    /// the condition.
    void park()
    {
        std::unique_lock lock{mutex_};
        woken_.wait(lock, [this] { return may_go_on_; });
        may_go_on_ = false;
    }

    void unpark()
    {
        {
            const std::scoped_lock lock{mutex_};
            may_go_on_ = true;
        }
        woken_.notify_one();
    }

private:
    std::mutex mutex_;
    std::condition_variable woken_;
    bool may_go_on_ = false;
};

} // namespace escqrs::inline v0::detail
