// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "attendee_queries.hpp"

#include <chrono>
#include <functional>
#include <memory>

namespace conference {

/// Reports changes of attendees in the read model, whichever process makes them. One thread polls the read model, and only while
/// there is a watch: every millisecond after a change or when a watch has begun, then less and less often. It retries what cannot
/// be read, and misses nothing; also if the file was replaced or a backup restored, in which case a state may be reported again.
/// @par Thread safety  every operation may be called from any thread; a callback may begin and end watches, also its own
class AttendeeWatcher {
public:
    using Callback = std::function<void(const AttendeeView&)>;

    /// Ends when destroyed; the callback does not run after that. Waits for the callback if that is running just now,
    /// unless the callback itself is destroying the watch. May outlive the watcher.
    class Watch;

    /// @param queries        must outlive the watcher
    /// @param poll_interval  the longest, while the read model can be read
    explicit AttendeeWatcher(AttendeeQueries& queries,
                             std::chrono::milliseconds poll_interval = std::chrono::milliseconds{5});

    /// Ends every watch. Not to be called by a callback.
    ~AttendeeWatcher();

    AttendeeWatcher(const AttendeeWatcher&) = delete;
    AttendeeWatcher& operator=(const AttendeeWatcher&) = delete;

    /// Calls `changed` for every later state of the attendee, in the watcher's thread; it must not block or throw. The
    /// current state is not reported: look it up after this call returned, and nothing is missed. States that follow
    /// each other faster than the polls are reported as the last of them.
    /// @throws escqrs::StoreError if the read model can't be read
    [[nodiscard]] std::unique_ptr<Watch> watch(const AttendeeId& id, Callback changed);

private:
    class Implementation;
    std::shared_ptr<Implementation> implementation_;
};

class AttendeeWatcher::Watch {
public:
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

private:
    friend Implementation;
    struct Entry;

    Watch(std::shared_ptr<Implementation> watcher, std::shared_ptr<Entry> entry) noexcept;

    std::shared_ptr<Implementation> watcher_;
    std::shared_ptr<Entry> entry_;
};

} // namespace conference
