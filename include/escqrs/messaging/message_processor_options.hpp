// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/backoff.hpp>
#include <escqrs/core/check_option.hpp>
#include <escqrs/core/clock.hpp>
#include <escqrs/core/function_ref.hpp>
#include <escqrs/core/identifiers.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/messaging/message_queue.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

namespace escqrs::inline v0 {

/// What became of a batch; each message counts once, in one of the figures below `received`.
struct BatchResult {
    std::size_t received = 0; ///< messages in the batch
    /// Handled, or a duplicate of what was handled before.
    std::size_t completed = 0;
    std::size_t abandoned = 0;     ///< given back, to be delivered again
    std::size_t dead_lettered = 0; ///< will not be delivered again
    /// Lock lost before it could be settled: delivered again, as a duplicate if it was handled.
    std::size_t lock_lost = 0;

    friend bool operator==(const BatchResult&, const BatchResult&) = default;
};

/// A message at its last attempt that still waits for an earlier event of its stream.
struct OverdueMessage {
    const ReceivedMessage& received; ///< valid during the call
    StreamId stream;                 ///< of the event in it
    StreamVersion missing;           ///< version of the event that it waits for
    bool give_back = false;          ///< set by `judge_overdue`
};

/// How a `MessageProcessor` works, and what it calls. All hooks are called by the thread that runs it; only
/// `judge_overdue` may be null.
struct MessageProcessorOptions {
    /// Messages received, and handled in one transaction, at once.
    std::size_t batch_size = 100;
    /// How long to wait for messages before looking at the stop token again.
    Duration max_wait = std::chrono::seconds{1};
    /// Deliveries of a message that fails or comes early, before it is dead-lettered; not more than the queue itself
    /// allows.
    std::uint32_t max_attempts = 8;

    /// The first delay after a failure; it doubles with each further one.
    Duration first_delay = std::chrono::milliseconds{50};
    /// The longest delay after a batch in which a message was abandoned.
    Duration longest_pause = std::chrono::seconds{1};
    /// The longest delay between two checks whether the read model or the queue is back.
    Duration longest_outage_delay = std::chrono::seconds{10};
    Clock* clock = &system_clock(); ///< must outlive the processor
    Jitter jitter = random_jitter;  ///< spreads the pauses after failures

    /// Gets a line for the operator, without a line end.
    std::function<void(std::string_view)> log = [](std::string_view) {};
    /// Gets the result of every batch that was settled or given back.
    std::function<void(const BatchResult&)> on_batch = [](const BatchResult&) {};
    /// Called when `run` could not continue and will try again.
    std::function<void()> on_failure = [] {};

    /// Called before a transaction commits, within it, with the number of new events that it has handled.
    std::function<void(std::uint64_t)> before_commit = [](std::uint64_t) {};
    /// Called before messages are received. A `StoreError` that it throws keeps them on the queue, uncounted, until the
    /// next call succeeds.
    std::function<void()> check = [] {};
    /// Called with the messages that would be dead-lettered as "OutOfOrder": those with `give_back` go back to the
    /// queue instead, and `check` is called once the batch is settled. Going back counts as a delivery, and at its
    /// `max_delivery_count` the queue dead-letters the message: let `check` throw to prevent that. If `judge_overdue`
    /// throws, all of them go back. Call `renew_locks` often; it may take the queue's time.
    std::function<void(std::span<OverdueMessage>, FunctionRef<void()> renew_locks, const stop_token&)> judge_overdue;
};

namespace detail {

/// @throws InvalidOption if nothing can work so
inline MessageProcessorOptions checked(MessageProcessorOptions options)
{
    check_at_least(1, options.batch_size, "batch_size");
    check_at_least(not_negative, options.max_wait, "max_wait");
    check_at_least(1, options.max_attempts, "max_attempts");
    check_at_least(not_zero, options.first_delay, "first_delay");
    check_at_least(not_zero, options.longest_pause, "longest_pause");
    check_at_least(not_zero, options.longest_outage_delay, "longest_outage_delay");
    check_given(options.clock, "clock");
    check_given(options.log, "log");
    check_given(options.on_batch, "on_batch");
    check_given(options.on_failure, "on_failure");
    check_given(options.before_commit, "before_commit");
    check_given(options.check, "check");
    return options;
}

} // namespace detail

} // namespace escqrs::inline v0
