// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/config.hpp>
#include <escqrs/core/check_option.hpp>
#include <escqrs/core/id_generator.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/messaging/message_queue.hpp>
#include <escqrs/messaging/message_queue_rules.hpp>
#include <escqrs/messaging/message_queue_time.hpp>
#include <escqrs/sqlite/database.hpp>
#include <escqrs/sqlite/detail/message_queue_tables.hpp>
#include <escqrs/sqlite/detail/message_queue_view.hpp>
#include <escqrs/sqlite/group_commit.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace escqrs::inline v0::sqlite {

/// How the queue's connection works; the queue's own options are `MessageQueueOptions`.
struct MessageQueueSettings {
    DatabaseOptions database{}; ///< of each of the queue's connections
    /// How long a waiting receiver may take to notice what another process did. At first it looks about every
    /// millisecond, then at intervals that grow by a 32nd, up to this one. In the same object it notices at once.
    Duration poll_interval = std::chrono::milliseconds{10};
    /// Draws tokens that cannot be guessed: who knows a lock's token holds the lock.
    IdGenerator lock_tokens = random_uuid;
};

/// A queue in its own SQLite file: `MessageSender`, `MessageReceiver` and `DeadLetterQueue`.
///
/// Any number of processes may use the file at once, on one machine; they must give the same options, and clocks of the
/// same `steady_origin`. What was sent, settled or resubmitted is durable once the member has returned; members running
/// at once share the commits. A lock outlives the process, but not the machine's next start, which no holder survives.
/// A holder that dies loses its locks when they run out, not before.
///
/// Sessions with messages to hand out stand in line; one that has been served goes to the end. Messages without a
/// session are handed out in the order they came; they and the sessions take turns at being served first.
/// @par Thread safety  all members may be called from any thread
/// @par Complexity     logarithmic in what the queue holds, times the messages moved; `counts` looks at every message
class MessageQueue {
public:
    /// Opens the queue at `path`, or creates it.
    /// @param options  the clock must outlive the queue
    /// @throws InvalidOption; TransportError if the file cannot be opened, is not a queue, or was
    ///         written by a newer version of this library
    explicit MessageQueue(const std::string& path, const MessageQueueOptions& options = {},
                          MessageQueueSettings settings = {});

    /// As `MessageSender`, `MessageReceiver` and `DeadLetterQueue` describe it.
    /// @{
    void send(std::span<const Message> messages);

    std::vector<ReceivedMessage> receive(std::size_t at_most, Duration wait, stop_token stop = {});
    void settle(const ReceivedMessage& message, const Disposition& disposition);
    std::vector<SettlementResult> settle(std::span<const Settlement> settlements);
    void renew_lock(ReceivedMessage& message);

    std::vector<DeadLetteredMessage> dead_letters(std::uint64_t after, std::size_t at_most);
    bool resubmit(const std::string& message_id);
    /// @}

    /// Counts what the queue holds now.
    MessageQueueCounts counts();

private:
    using State = detail::MessageQueueView::State;
    using QueueTime = escqrs::detail::QueueTime;

    static void check(const MessageQueueOptions& options, const MessageQueueSettings& settings)
    {
        message_queue_rules::check_options(options, settings.lock_tokens);
        escqrs::detail::check_at_least(escqrs::detail::not_zero, settings.poll_interval, "poll_interval");
    }

    /// Runs what uses the file, and reports its failures as those of a queue.
    template <class Action>
    static std::invoke_result_t<Action&> as_transport(Action action)
    {
        try {
            return action();
        } catch (const StoreError& error) {
            std::throw_with_nested(TransportError{error.what()});
        }
    }

    /// Commits what `action(tables, now)` changes.
    template <class Action>
    auto change(Action action)
    {
        return as_transport(
            [&] { return commits_.commit([&](Database&) { return action(tables_, QueueTime{*options_.clock}); }); });
    }

    /// As `change`, for locks and for what time changes: after a power cut the holders are gone, and time does the rest
    /// again.
    template <class Action>
    auto change_for_now(Action action)
    {
        return as_transport([&] {
            return commits_.commit_without_sync([&](Database&) { return action(tables_, QueueTime{*options_.clock}); });
        });
    }

    /// A connection that only reads.
    struct Reader {
        explicit Reader(const Database& writer) : database{SameFile{writer}} {}

        std::mutex mutex;
        Database database;
        detail::MessageQueueView view{database};
    };

    /// Runs `action(view)` on a reading connection.
    template <class Action>
    static auto look(Reader& reader, Action action)
    {
        return as_transport([&] {
            reader.database.check_process();
            const std::scoped_lock lock{reader.mutex};
            return action(reader.view);
        });
    }

    void wake_receivers();
    void do_what_is_due();
    std::vector<ReceivedMessage> take(std::size_t at_most);
    void wait_for_change(std::uint64_t seen, const State& state, SteadyTime end, const stop_token& stop);

    const MessageQueueOptions options_;
    const MessageQueueSettings settings_;

    Database writer_;
    detail::MessageQueueTables tables_;
    GroupCommit commits_;

    /// For receivers to check whether there is anything to take.
    Reader receivers_;
    /// For counts and dead letters, which may take long.
    Reader inspection_;

    std::mutex wake_mutex_;
    condition_variable_any wake_;
    std::uint64_t changes_ = 0; ///< counts what may end a receiver's wait
    std::atomic<unsigned> takes_{0};
};

#if ESCQRS_HAS_BODIES

ESCQRS_INLINE MessageQueue::MessageQueue(const std::string& path, const MessageQueueOptions& options,
                                         MessageQueueSettings settings)
try : options_{(check(options, settings), options)}, settings_{std::move(settings)},
    writer_{path, detail::queue_sql::schema, settings_.database}, tables_{writer_, options_}, commits_{writer_},
    receivers_{writer_}, inspection_{writer_} {
    detail::adopt_clock(writer_, *options_.clock);
} catch (const InvalidOption&) {
    throw;
} catch (const StoreError& error) {
    std::throw_with_nested(TransportError{error.what()});
}

ESCQRS_INLINE void MessageQueue::send(std::span<const Message> messages)
{
    message_queue_rules::check_messages(messages, options_);
    if (messages.empty()) return;
    change([&](auto& tables, const QueueTime& now) { tables.send(messages, now); });
    wake_receivers();
}

ESCQRS_INLINE std::vector<ReceivedMessage> MessageQueue::receive(std::size_t at_most, Duration wait, stop_token stop)
{
    const SteadyTime end = later_by(options_.clock->steady(), wait);
    while (at_most > 0 && !stop.stop_requested()) {
        std::uint64_t seen = 0;
        {
            const std::scoped_lock lock{wake_mutex_};
            seen = changes_;
        }
        const auto state = look(receivers_, [](auto& view) { return view.state(); });
        const QueueTime now{*options_.clock};
        const bool is_over = now.steady >= end;
        if (state.can_take || state.next_change.is_due(now)) {
            auto taken = take(at_most);
            if (!taken.empty()) return taken;
            // Another receiver was faster, or what was due has been dead-lettered.
            if (!is_over || state.next_change.is_due(now)) continue;
        }
        if (is_over) break;
        wait_for_change(seen, state, end, stop);
    }
    return {};
}

ESCQRS_INLINE std::vector<ReceivedMessage> MessageQueue::take(std::size_t at_most)
{
    const std::string token = escqrs::to_string(settings_.lock_tokens());
    const bool sessions_first = takes_.fetch_add(1, std::memory_order_relaxed) % 2 == 0;
    return change_for_now(
        [&](auto& tables, const QueueTime& now) { return tables.take(at_most, token, sessions_first, now); });
}

/// Returns when there may be something to take.
ESCQRS_INLINE void MessageQueue::wait_for_change(std::uint64_t seen, const State& state, SteadyTime end,
                                                 const stop_token& stop)
{
    Duration poll_interval = std::chrono::milliseconds{1};
    std::unique_lock lock{wake_mutex_};
    while (changes_ == seen && !stop.stop_requested()) {
        const QueueTime now{*options_.clock};
        const Duration left = std::min(time_until(end, now.steady), state.next_change.wait(now));
        if (left == Duration::zero()) return;
        poll_interval = std::min(poll_interval + poll_interval / 32, settings_.poll_interval);
        const Duration next = std::min(poll_interval, escqrs::detail::next_wait(left));
        if (options_.clock->wait_for(lock, wake_, next, stop, [&] { return changes_ != seen; })) return;
        lock.unlock();
        as_transport([this] { writer_.check_file(); });
        if (look(receivers_, [](auto& view) { return view.version(); }) != state.version) return;
        lock.lock();
    }
}

ESCQRS_INLINE void MessageQueue::wake_receivers()
{
    {
        const std::scoped_lock lock{wake_mutex_};
        ++changes_;
    }
    wake_.notify_all();
}

ESCQRS_INLINE void MessageQueue::settle(const ReceivedMessage& message, const Disposition& disposition)
{
    const Settlement settlement{message, disposition};
    if (settle(std::span{&settlement, 1}).front() == SettlementResult::lock_lost) {
        message_queue_rules::throw_lock_lost(message);
    }
}

ESCQRS_INLINE std::vector<SettlementResult> MessageQueue::settle(std::span<const Settlement> settlements)
{
    for (const auto& [message, disposition] : settlements) {
        message_queue_rules::check_disposition(message, disposition, options_);
    }
    if (settlements.empty()) return {};
    auto results = change([&](auto& tables, const QueueTime& now) { return tables.settle(settlements, now); });
    wake_receivers();
    return results;
}

ESCQRS_INLINE void MessageQueue::renew_lock(ReceivedMessage& message)
{
    const auto until = change_for_now([&](auto& tables, const QueueTime& now) {
        return tables.renew_lock(message, now) ? std::optional{later_by(now.now, options_.lock_duration)}
                                               : std::nullopt;
    });
    if (!until) message_queue_rules::throw_lock_lost(message);
    message.locked_until = *until;
}

/// Enqueues and takes back what time alone has made available, as a receiver would.
ESCQRS_INLINE void MessageQueue::do_what_is_due()
{
    const auto next = look(receivers_, [](auto& view) { return view.next_change(); });
    if (!next.is_due(QueueTime{*options_.clock})) return;
    change_for_now([](auto& tables, const QueueTime& now) { tables.pass_time(now); });
}

ESCQRS_INLINE std::vector<DeadLetteredMessage> MessageQueue::dead_letters(std::uint64_t after, std::size_t at_most)
{
    do_what_is_due();
    return look(inspection_, [&](auto& view) { return view.dead_letters(after, at_most); });
}

ESCQRS_INLINE bool MessageQueue::resubmit(const std::string& message_id)
{
    do_what_is_due();
    const bool found = change([&](auto& tables, const QueueTime& now) { return tables.resubmit(message_id, now); });
    wake_receivers();
    return found;
}

ESCQRS_INLINE MessageQueueCounts MessageQueue::counts()
{
    do_what_is_due();
    return look(inspection_, [](auto& view) { return view.counts(); });
}

#endif // ESCQRS_HAS_BODIES

static_assert(MessageSender<MessageQueue> && MessageReceiver<MessageQueue> && DeadLetterQueue<MessageQueue>);

} // namespace escqrs::inline v0::sqlite
