// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>

namespace escqrs::detail {

/// Where one thread waits until another lets it go on.
///
/// Shared by both, so that the one who wakes need not hold a lock over that, which the woken thread would run into at once: a
/// condition variable that is gone with what is waited for asks for one.
/// @par Thread safety  `park` may be called by its thread, `unpark` from any
class Parker {
public:
    /// That of the calling thread.
    static const std::shared_ptr<Parker>& of_this_thread()
    {
        thread_local const std::shared_ptr<Parker> parker = std::make_shared<Parker>();
        return parker;
    }

    /// Waits for `unpark`, or returns at once if it was called since the last time. Whoever is woken looks again at what he
    /// waits for: the call may have been meant for something earlier.
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

} // namespace escqrs::detail
