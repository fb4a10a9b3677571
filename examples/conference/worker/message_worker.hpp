// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../application/attendee_events.hpp"
#include "../application/log_lookup.hpp"
#include "../read_model/database.hpp"
#include "../read_model/progress.hpp"
#include "backoff.hpp"
#include "work_status.hpp"
#include "worker_log.hpp"

#include <escqrs/core/clock.hpp>
#include <escqrs/events/event_bus.hpp>
#include <escqrs/messaging/any_message_queue.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace conference {

class LockKeeper;

/// The read model lacks events that the queue will not deliver again: it was lost, or is an older backup. It must be built
/// anew from the log.
class ReadModelIncomplete : public escqrs::Error {
public:
    using Error::Error;
};

/// What became of a batch; each message counts once, in one of the figures below `received`.
struct BatchResult {
    std::size_t received = 0;
    std::size_t completed = 0; ///< handled, or a duplicate of what was handled before
    std::size_t abandoned = 0;
    std::size_t dead_lettered = 0;
    std::size_t lock_lost = 0; ///< before it could be settled: comes again, as a duplicate if it was handled

    friend bool operator==(const BatchResult&, const BatchResult&) = default;
};

struct MessageWorkerOptions {
    std::size_t batch_size = 100;                        ///< messages handled in one transaction
    escqrs::Duration max_wait = std::chrono::seconds{1}; ///< for messages, before looking round again
    std::uint32_t max_attempts = 8; ///< deliveries of a message; not more than the queue itself allows
    escqrs::Duration first_delay = std::chrono::milliseconds{50};
    escqrs::Duration longest_pause = std::chrono::seconds{1}; ///< after a batch in which a message had to be given back
    escqrs::Duration longest_outage_delay =
        std::chrono::seconds{10}; ///< between looks whether read model or queue is back
    escqrs::Clock* clock = &escqrs::system_clock();
    escqrs::Jitter jitter = escqrs::random_jitter;
    WorkerLog log = [](std::string_view) {};
    bool has_sessions = true; ///< the queue delivers the messages of a stream in order
    /// Makes a look-up in the event log, which lives for one batch; by default of a log that cannot be read. Once it finds that it
    /// cannot read the log, it is not asked again.
    std::function<LogLookup()> look_up = [] { return [](const auto&, auto) { return std::nullopt; }; };
    std::function<void(const BatchResult&)> on_batch = [](const BatchResult&) {
    };                                        ///< told of every batch that was settled or given back
    std::function<void()> on_failure = [] {}; ///< told when `run` could not go on and has to try again
};

/// Takes events off a queue and publishes each once on a bus, whose subscribers write the read model.
///
/// One transaction covers what the subscribers wrote for a batch and how far each stream has come; messages are settled
/// only after it was committed. So a crash at any moment brings messages again as duplicates, which change nothing.
/// What becomes of a message:
/// - handled, or a duplicate: complete;
/// - a subscriber failed, or an earlier event of the stream is missing: what was written for the message is undone and
///   it is abandoned with the error as property "lastError"; at the last attempt it is dead-lettered;
/// - no event this program knows, or one of a newer schema version: dead-lettered at once, to be resubmitted to a newer
///   program;
/// - the read model can't be written: everything is given back, and nothing is received until it can be again;
/// - at the last attempt at a message whose stream lacks an earlier event, that one was neither dead-lettered, nor can it come
///   any more, and it is in the log: the read model has lost it. Nothing is dead-lettered for that. The read model keeps what
///   was found, and no worker receives anything until it has been built anew.
///
/// When a subscriber fails, the whole batch is undone and published once more, this time message by message. What follows a
/// failed message in its session and batch is given back unhandled; what follows one that came too early is not, for it may
/// be the missing one. A stop gives back what was not handled yet, without counting a delivery if the queue can do that. Any number of workers, in any number of processes, may share queue and read model: of all
/// `read_model::Transaction`s one is open at a time.
/// @par Thread safety  none but for `problem`; `run` it in a thread of its own
class MessageWorker {
public:
    /// @param read_model, bus  must outlive the worker, as what `receiver` refers to; subscribers write to `read_model`
    ///        and to nothing else, for it may be undone and they be called again
    MessageWorker(escqrs::AnyMessageReceiver receiver, read_model::DatabaseRef read_model, escqrs::EventBus& bus,
                  MessageWorkerOptions options = {});

    /// Receives one batch and handles it. If stopped in between, what was not handled yet is given back.
    /// @throws StoreError if the read model can't be written; the messages have been given back
    /// @throws TransportError if the queue can't be reached; what was handled stays so
    /// @throws ReadModelIncomplete if the read model is found to lack events, and before anything is received from then on
    BatchResult work_once(std::stop_token stop = {});

    /// Works until stopped. Reports failures to the log and goes on.
    void run(std::stop_token stop);

    /// What keeps `run` from its work just now; nothing if it works, or waits for messages. Any thread.
    std::optional<std::string> problem() const { return status_.problem(options_.clock->steady()); }

private:
    enum class Outcome : std::uint8_t { handled, early, failed, poison };

    struct EventPlace {
        escqrs::StreamId stream;
        escqrs::StreamVersion version;
    };

    struct Verdict {
        Outcome outcome = Outcome::failed;
        std::string reason; ///< short name of what went wrong; empty if the message was not looked at
        std::string description;
        bool is_new = false;                 ///< handled now, and not a duplicate
        std::optional<EventPlace> missing{}; ///< if it came early
    };

    using Verdicts = std::vector<std::optional<Verdict>>;

    /// What can be undone when a message fails.
    enum class Undo : std::uint8_t { all, each };

    Verdicts handle(const std::vector<escqrs::ReceivedMessage>& batch, LockKeeper& locks, const std::stop_token& stop);
    std::optional<Verdicts> handle(const std::vector<escqrs::ReceivedMessage>& batch, LockKeeper& locks,
                                   const std::stop_token& stop, Undo undo);
    Verdict handle_one(const escqrs::ReceivedMessage& message, Undo undo);
    bool apply(const escqrs::Message& message);

    std::optional<std::string> find_gap(const std::vector<escqrs::ReceivedMessage>& batch, Verdicts& verdicts,
                                        LockKeeper& locks, const std::stop_token& stop);
    bool report_gap(const escqrs::ReceivedMessage& message, const std::string& reason);

    BatchResult settle(const std::vector<escqrs::ReceivedMessage>& batch, Verdicts verdicts, bool is_stopped);
    void count_dead_lettered();
    escqrs::Disposition disposition_of(const escqrs::ReceivedMessage& message, const Verdict& verdict);
    std::vector<escqrs::SettlementResult> settle(std::vector<escqrs::Settlement>& settlements);
    static std::vector<escqrs::ReceivedMessage> take_untouched(const std::vector<escqrs::ReceivedMessage>& batch,
                                                               Verdicts& verdicts);
    void give_back(const std::vector<escqrs::ReceivedMessage>& batch) noexcept;
    void wait_for_rebuild(Backoff& backoff, const std::string& reason, const std::stop_token& stop);
    void wait_for_read_model(Backoff& backoff, const std::stop_token& stop);
    void failed(const char* what, const std::string& error);

    escqrs::AnyMessageReceiver receiver_;
    read_model::DatabaseRef read_model_;
    escqrs::EventBus* bus_;
    MessageWorkerOptions options_;
    AttendeeMessages events_{"worker"};
    read_model::StreamCheckpoint checkpoint_;
    read_model::Progress progress_;
    std::uint64_t uncounted_ = 0;      ///< dead-lettered messages that the read model has not been told of
    std::uint64_t told_uncounted_ = 0; ///< of these, what the log has been told of
    WorkStatus status_;
};

} // namespace conference
