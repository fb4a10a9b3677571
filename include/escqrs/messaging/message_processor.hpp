// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/backoff.hpp>
#include <escqrs/core/error.hpp>
#include <escqrs/core/readable_text.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/messaging/any_message_queue.hpp>
#include <escqrs/messaging/detail/message_batch.hpp>
#include <escqrs/messaging/detail/message_settling.hpp>
#include <escqrs/messaging/detail/message_side.hpp>
#include <escqrs/messaging/detail/work_status.hpp>
#include <escqrs/messaging/message_processor_options.hpp>
#include <escqrs/messaging/stream_read_model.hpp>

#include <algorithm>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace escqrs::inline v0 {

/// Takes events off a queue and lets handlers handle each once, in the order of its stream, in one transaction with the
/// read model.
///
/// - A message is completed once the read model has committed its effect: an event is handled at least once, and what
///   its handlers write to the read model takes effect exactly once. A duplicate is completed and changes nothing.
/// - A batch is one transaction. If a message in it fails, all of it is undone, and handled again with a savepoint for
///   each message: one that fails undoes nothing of the others. If the database refuses the commit, each message has a
///   transaction of its own. Handlers write to the read model and to nothing else, because they may be undone and
///   called again, up to three times for one delivery.
/// - A message that cannot be read is dead-lettered at once, with the reason "CodecError", "UnknownEventType" or
///   "NewerSchemaVersion". One whose handlers fail is abandoned, with the error as property `lastError`, and at its
///   last attempt dead-lettered as "HandlerFailed". One that comes before an earlier event of its stream waits for it
///   in the same way, and is "OutOfOrder" in the end. After a message that failed, the later ones of its session are
///   not handled.
/// - While the read model cannot be written, nothing is received: an outage, however long, costs a message one
///   delivery.
/// - Locks are renewed when half of their time is over, and never while a transaction is open: the transaction is
///   committed first, and the rest of the batch is handled in another one.
/// - A stop ends the work after the message that is being handled. What was handled is settled; the rest goes back,
///   without counting as a delivery if the receiver can do that (`ReleasingReceiver`).
/// @par Thread safety  `problem` may be called from any thread; everything else by one at a time
class MessageProcessor {
public:
    /// @param receiver    must outlive the processor
    /// @param read_model  a `StreamReadModel`, such as `sqlite::StreamReadModel`
    /// @param messages    reads messages: `CloudEvents<List>`, or what has such a `decode(message, visit)`
    /// @param handlers    an event bus, or an object with a `handle(event, context)` for the events it takes; must
    ///                    outlive the processor
    /// @throws InvalidOption
    template <StreamReadModel Model, class Messages, class Handlers>
    MessageProcessor(AnyMessageReceiver receiver, Model read_model, Messages messages, Handlers& handlers,
                     MessageProcessorOptions options = {})
        : receiver_{std::move(receiver)}, side_{std::make_unique<detail::MessageSideOf<Model, Messages, Handlers>>(
                                              std::move(read_model), std::move(messages), handlers)},
          options_{detail::checked(std::move(options))},
          status_{std::max({options_.max_wait, options_.longest_pause, options_.longest_outage_delay})}
    {
    }

    /// Receives one batch and handles it.
    /// @throws StoreError if the read model cannot be written; the messages have been given back
    /// @throws what `MessageProcessorOptions::judge_overdue` throws; what was handled is completed, the rest goes back
    /// @throws TransportError if the queue cannot be reached; what was handled stays so
    /// @throws what `MessageProcessorOptions::check` throws
    BatchResult work_once(stop_token stop = {});

    /// Works until stopped. Reports failures by `log` and `on_failure`, and continues.
    void run(stop_token stop);

    /// What keeps `run` from its work just now: its last failure, "not running", or that it "has hung": it has made no
    /// progress for two minutes more than it ever waits. Nothing if it works, or waits for messages.
    std::optional<std::string> problem() const { return status_.problem(options_.clock->steady()); }

private:
    void failed(const char* what, const std::exception_ptr& failure, bool is_new = true) noexcept;
    void pause(Backoff& backoff, const stop_token& stop) noexcept;
    void wait_for_read_model(Backoff& backoff, std::exception_ptr failure, const stop_token& stop) noexcept;

    AnyMessageReceiver receiver_;
    std::unique_ptr<detail::MessageSide> side_;
    MessageProcessorOptions options_;
    detail::WorkStatus status_;
};

inline BatchResult MessageProcessor::work_once(stop_token stop)
{
    options_.check();
    auto messages = receiver_.receive(options_.batch_size, options_.max_wait, stop);
    if (messages.empty()) return {};
    detail::MessageBatch batch{receiver_, std::move(messages), options_, status_};
    detail::MessageSettling settling{receiver_, options_};
    try {
        batch.handle(*side_, stop);
    } catch (...) {
        // What hooks throw must not hide the failure by which `run` waits.
        detail::ignoring_errors([&] { settling.give_back(batch.messages()); });
        detail::ignoring_errors(
            [&] { options_.on_batch({.received = batch.messages().size(), .abandoned = batch.messages().size()}); });
        throw;
    }
    bool some_go_back = false;
    std::exception_ptr not_judged; // what was handled is completed all the same
    try {
        some_go_back = batch.judge_overdue(stop);
    } catch (...) {
        not_judged = std::current_exception();
    }
    const BatchResult result = settling.settle(batch.messages(), batch.take_verdicts(), stop.stop_requested());
    if (not_judged) {
        detail::ignoring_errors([&] { options_.on_batch(result); });
        std::rethrow_exception(not_judged);
    }
    options_.on_batch(result);
    if (some_go_back) options_.check();
    return result;
}

inline void MessageProcessor::run(stop_token stop)
{
    Backoff between_failures{options_.first_delay, options_.longest_pause, options_.jitter};
    Backoff outage{options_.first_delay, options_.longest_outage_delay, options_.jitter};
    status_.start(options_.clock->steady());
    while (!stop.stop_requested()) {
        try {
            const BatchResult result = work_once(stop);
            status_.came_round(options_.clock->steady());
            outage.reset();
            if (result.abandoned == 0) between_failures.reset();
            else pause(between_failures, stop); // they are delivered again at once, and nothing may have changed yet
        } catch (const StoreError&) {
            failed("read model unavailable, waiting for it", std::current_exception());
            wait_for_read_model(outage, std::current_exception(), stop);
        } catch (...) {
            failed("worker failed, trying again", std::current_exception());
            pause(outage, stop);
        }
    }
    status_.stop();
}

/// Reports a failure to the log, the counters and the status. What the hooks throw is ignored: it would end the thread.
/// @param is_new  false: the log has it already
inline void MessageProcessor::failed(const char* what, const std::exception_ptr& failure, bool is_new) noexcept
{
    detail::ignoring_errors([&] {
        const std::string text = std::string{what} + ": " + readable(text_of(failure), detail::max_error_length);
        status_.came_round(options_.clock->steady(), text);
        if (is_new) options_.log(text);
    });
    detail::ignoring_errors(options_.on_failure);
}

/// Waits, if there is memory to wait with.
inline void MessageProcessor::pause(Backoff& backoff, const stop_token& stop) noexcept
{
    detail::ignoring_errors([&] { sleep_for(*options_.clock, backoff.next(), stop); });
}

/// Every delivery counts against a message. So while nothing can be written, none is received.
inline void MessageProcessor::wait_for_read_model(Backoff& backoff, std::exception_ptr failure,
                                                  const stop_token& stop) noexcept
{
    const auto is_new = [&](const std::exception_ptr& next) {
        bool differs = true;
        detail::ignoring_errors([&] { differs = text_of(next) != text_of(failure); });
        return differs;
    };
    for (pause(backoff, stop); !stop.stop_requested(); pause(backoff, stop)) {
        try {
            side_->check_writable();
            options_.check();
        } catch (...) {
            failed("read model still unavailable", std::current_exception(), is_new(std::current_exception()));
            failure = std::current_exception();
            continue;
        }
        detail::ignoring_errors([&] { options_.log("read model available again"); });
        status_.came_round(options_.clock->steady());
        return;
    }
}

} // namespace escqrs::inline v0
