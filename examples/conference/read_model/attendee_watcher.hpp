// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "attendee_queries.hpp"

#include <chrono>
#include <functional>
#include <memory>

namespace conference {

/// Tells of attendees as the read model changes, whichever process changes it. One thread polls the file, and only while
/// somebody is watching.
/// @par Thread safety  every operation may be called from any thread
class AttendeeWatcher {
public:
    using Callback = std::function<void(const AttendeeView&)>;

    /// Ends the watch when destroyed; the callback does not run after that.
    class Watch;

    /// @param queries  must outlive the watcher
    explicit AttendeeWatcher(AttendeeQueries& queries, std::chrono::milliseconds poll_interval = std::chrono::milliseconds{5});
    ~AttendeeWatcher();

    /// Calls `changed` for every later state of the attendee, in the watcher's thread; it must not block or throw. The
    /// current state is not reported: look it up after this call returned, and nothing is missed.
    [[nodiscard]] std::unique_ptr<Watch> watch(const AttendeeId& id, Callback changed);

private:
    class Implementation;
    std::shared_ptr<Implementation> implementation_;
};

} // namespace conference
