// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/clock.hpp>
#include <escqrs/core/identifiers.hpp>
#include <escqrs/core/stop_token.hpp>

#include <mutex>
#include <utility>

namespace escqrs::inline v0::detail {

/// A position that others wait for.
/// @par Thread safety  all members may be called from any thread
class Progress {
public:
    GlobalPosition position() const
    {
        const std::scoped_lock lock{mutex_};
        return position_;
    }

    void set(GlobalPosition position)
    {
        {
            const std::scoped_lock lock{mutex_};
            if (position_ == position) return;
            position_ = position;
        }
        moved_.notify_all();
    }

    /// @return false if the position was not reached by the deadline or before a stop request
    bool wait_for(GlobalPosition position, Timestamp deadline, stop_token stop, Clock& clock) const
    {
        const Duration at_most = time_until(deadline, clock.now());
        std::unique_lock lock{mutex_};
        return clock.wait_for(lock, moved_, at_most, std::move(stop), [&] { return position_ >= position; });
    }

private:
    mutable std::mutex mutex_;
    mutable condition_variable_any moved_;
    GlobalPosition position_;
};

} // namespace escqrs::inline v0::detail
