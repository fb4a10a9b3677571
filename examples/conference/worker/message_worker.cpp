// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "message_worker.hpp"

#include "../application/attendee_events.hpp"
#include "../application/readable_text.hpp"
#include "worker_log.hpp"

#include <cstddef>
#include <set>

namespace conference {
namespace {

constexpr const char* projection = "attendees";

/// Names no stream: anybody may see it as the reason why a role is not ready, and an attendee's id is a key.
constexpr const char* incomplete = "it lacks events that were handled before and will not come again: it is new, or an "
                                   "older backup. Start 'conference "
                                   "worker --rebuild' once, which builds it anew from the event log";

using ReadModel = escqrs::BasicStreamReadModel<read_model::DatabaseRef, read_model::Transaction, read_model::Savepoint,
                                               read_model::StreamCheckpoint>;

/// Erases the sessions of which a message is dead-lettered. Linear in the dead letters.
void erase_dead_lettered(escqrs::AnyMessageReceiver& receiver, std::set<std::string>& sessions,
                         escqrs::FunctionRef<void()> renew_locks, const std::stop_token& stop)
{
    constexpr std::size_t page = 100;
    std::uint64_t after = 0;
    while (!sessions.empty() && !stop.stop_requested()) {
        renew_locks();
        const auto letters = receiver.dead_letters(after, page);
        if (letters.empty()) return;
        for (const auto& letter : letters) sessions.erase(letter.message.session_id);
        after = letters.back().sequence_number;
    }
}

} // namespace

MessageWorker::MessageWorker(escqrs::AnyMessageReceiver receiver, const read_model::DatabaseRef& read_model,
                             escqrs::EventBus& bus, MessageWorkerOptions options)
    : receiver_{std::move(receiver)}, read_model_{read_model}, options_{std::move(options)},
      checkpoint_{read_model, projection}, progress_{read_model},
      processor_{receiver_, ReadModel{read_model, projection}, AttendeeMessages{"worker"}, bus, with_hooks()}
{
}

escqrs::MessageProcessorOptions MessageWorker::with_hooks()
{
    const escqrs::MessageProcessorOptions& given = options_;
    escqrs::MessageProcessorOptions options = given;
    options.check = [this] { check(); };
    options.before_commit = [this](std::uint64_t new_events) { progress_.add_events(new_events); };
    options.on_batch = [this](const BatchResult& result) {
        options_.on_batch(result);
        uncounted_ += result.dead_lettered;
        count_dead_lettered();
    };
    if (options_.has_sessions && receiver_.can_list_dead_letters()) {
        options.judge_overdue = [this](auto overdue, auto renew_locks, const auto& stop) {
            judge(overdue, renew_locks, stop);
        };
    }
    return options;
}

void MessageWorker::check()
{
    if (const auto gap = progress_.gap()) throw ReadModelIncomplete{*gap};
    count_dead_lettered(); // those of an earlier batch, if that failed
}

/// They are settled in any case: until they are counted, commands only wait longer than they need to.
void MessageWorker::count_dead_lettered()
{
    if (uncounted_ == 0) return;
    try {
        read_model::Transaction transaction{read_model_};
        progress_.add_dead_lettered(uncounted_);
        transaction.commit();
        uncounted_ = told_uncounted_ = 0;
    } catch (const escqrs::StoreError& error) { // tried again with the next batch
        if (std::exchange(told_uncounted_, uncounted_) == uncounted_) return;
        options_.log("cannot count dead-lettered messages: " + readable(error.what(), max_error_length));
        options_.on_failure();
    }
}

/// Looks at the messages that have waited in vain for an earlier one of their session. Those that wait for what the read model
/// has lost are given back.
void MessageWorker::judge(std::span<escqrs::OverdueMessage> overdue, escqrs::FunctionRef<void()> renew_locks,
                          const std::stop_token& stop)
{
    std::set<std::string> sessions;
    for (const auto& message : overdue) sessions.insert(message.received.message.session_id);
    erase_dead_lettered(receiver_, sessions, renew_locks, stop);
    const LogLookup look_up = options_.look_up();
    bool can_ask = true; // a log that does not answer takes its time for it
    const auto is_lost = [&](const escqrs::OverdueMessage& message) {
        const auto is_stored = can_ask ? look_up(message.stream, message.missing) : std::nullopt;
        can_ask = is_stored.has_value();
        return is_stored ? *is_stored : progress_.figures().events == 0;
    };
    bool is_incomplete = false; // one that is lost is enough
    for (auto& message : overdue) {
        if (stop.stop_requested()) return;
        if (!sessions.contains(message.received.message.session_id)) continue;
        renew_locks();
        message.give_back = is_incomplete || is_lost(message);
        is_incomplete = is_incomplete || (message.give_back && report_gap(message));
    }
}

/// @return false if the message does not wait for that event any more: the read model has been built anew meanwhile
bool MessageWorker::report_gap(const escqrs::OverdueMessage& message)
{
    read_model::Transaction transaction{read_model_};
    if (checkpoint_.version_of(message.stream).next() != message.missing) return false;
    progress_.report_gap(incomplete);
    transaction.commit();
    options_.log("read model incomplete: stream '" + message.stream.text() + "' lacks event version " +
                 std::to_string(message.missing.value()));
    return true;
}

} // namespace conference
