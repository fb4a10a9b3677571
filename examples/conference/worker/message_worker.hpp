// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../application/log_lookup.hpp"
#include "../read_model/database.hpp"
#include "../read_model/progress.hpp"

#include <escqrs/core/error.hpp>
#include <escqrs/core/function_ref.hpp>
#include <escqrs/events/event_bus.hpp>
#include <escqrs/messaging/any_message_queue.hpp>
#include <escqrs/messaging/message_processor.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <utility>

namespace conference {

using escqrs::BatchResult;

/// The read model lacks events that the queue will not deliver again: it was lost, or is an older backup. It must be built
/// anew from the log.
class ReadModelIncomplete : public escqrs::StoreError {
public:
    using StoreError::StoreError;
};

/// The worker sets `check`, `before_commit` and `judge_overdue` itself, whatever is given.
struct MessageWorkerOptions : escqrs::MessageProcessorOptions {
    /// The queue delivers the messages of a stream in order.
    bool has_sessions = true;
    /// Makes a look-up in the event log, which lives for one batch; by default of a log that cannot be read. Once it finds that it
    /// cannot read the log, it is not asked again.
    std::function<LogLookup()> look_up = [] { return [](const auto&, auto) { return std::nullopt; }; };
};

/// The library's message processor on the conference's read model, where it notes its progress. It stops taking messages when
/// it finds that the read model has lost events.
/// @par Thread safety  as `escqrs::MessageProcessor`
class MessageWorker {
public:
    /// @param receiver, read_model, bus  must outlive the worker; subscribers write to `read_model` and to nothing else
    MessageWorker(escqrs::AnyMessageReceiver receiver, const read_model::DatabaseRef& read_model, escqrs::EventBus& bus,
                  MessageWorkerOptions options = {});
    MessageWorker(const MessageWorker&) = delete;
    MessageWorker& operator=(const MessageWorker&) = delete;

    /// As `escqrs::MessageProcessor::work_once`.
    /// @throws ReadModelIncomplete if the read model is found to lack events, and before anything is received from then on
    BatchResult work_once(std::stop_token stop = {}) { return processor_.work_once(std::move(stop)); }

    void run(std::stop_token stop) { processor_.run(std::move(stop)); }
    std::optional<std::string> problem() const { return processor_.problem(); }

private:
    escqrs::MessageProcessorOptions with_hooks();
    void check();
    void count_dead_lettered();
    void judge(std::span<escqrs::OverdueMessage> overdue, escqrs::FunctionRef<void()> renew_locks,
               const std::stop_token& stop);
    bool report_gap(const escqrs::OverdueMessage& message);

    escqrs::AnyMessageReceiver receiver_;
    read_model::DatabaseRef read_model_;
    MessageWorkerOptions options_;
    read_model::StreamCheckpoint checkpoint_;
    read_model::Progress progress_;
    std::uint64_t uncounted_ = 0;      ///< dead-lettered messages that the read model does not know of yet
    std::uint64_t told_uncounted_ = 0; ///< those that the log knows of
    escqrs::MessageProcessor processor_;
};

} // namespace conference
