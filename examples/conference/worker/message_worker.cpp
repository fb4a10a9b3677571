// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "message_worker.hpp"

#include "../application/readable_text.hpp"
#include "lock_keeper.hpp"
#include "read_model_health.hpp"

#include <escqrs/core/error.hpp>

#include <algorithm>
#include <exception>
#include <optional>
#include <span>
#include <unordered_set>
#include <utility>
#include <variant>

namespace conference {
namespace {

using escqrs::ReceivedMessage;
using escqrs::Settlement;

/// What a message may carry away of an error: the queue limits its size.
constexpr std::size_t max_description_length = 4000;

/// An earlier event of the stream has not been handled yet.
class OutOfOrder : public escqrs::Error {
public:
    OutOfOrder(const escqrs::EventContext& found, escqrs::StreamVersion expected)
        : Error{"stream '" + found.stream.text() + "': expected event version " + std::to_string(expected.value()) +
                ", found " + std::to_string(found.version.value())},
          stream_{found.stream}, expected_{expected}
    {
    }

    const escqrs::StreamId& stream() const noexcept { return stream_; }
    escqrs::StreamVersion expected() const noexcept { return expected_; }

private:
    escqrs::StreamId stream_;
    escqrs::StreamVersion expected_;
};

/// True if a failure comes from the read model's state, and would come with any other message as well.
bool is_outage(const std::exception_ptr& failure)
{
    try {
        std::rethrow_exception(failure);
    } catch (const escqrs::EventDispatchError& error) {
        return std::ranges::any_of(error.failures(), is_outage);
    } catch (const escqrs::StoreError& error) {
        return escqrs::classify(error) != escqrs::FailureKind::refused;
    } catch (...) {
        return false;
    }
}

} // namespace

MessageWorker::MessageWorker(escqrs::AnyMessageReceiver receiver, read_model::DatabaseRef read_model,
                             escqrs::EventBus& bus, MessageWorkerOptions options)
    : receiver_{std::move(receiver)}, read_model_{read_model}, bus_{&bus}, options_{std::move(options)},
      checkpoint_{read_model, "attendees"}, progress_{read_model}
{
}

void MessageWorker::run(std::stop_token stop)
{
    Backoff pause{options_.first_delay, options_.longest_pause, options_.jitter};
    Backoff outage{options_.first_delay, options_.longest_outage_delay, options_.jitter};
    status_.start(options_.clock->steady());
    while (!stop.stop_requested()) {
        try {
            const BatchResult result = work_once(stop);
            status_.came_round(options_.clock->steady());
            outage.reset();
            if (result.abandoned == 0) pause.reset();
            else
                sleep_for(*options_.clock, pause.next(),
                          stop); // they come again at once, and nothing may have changed yet
        } catch (const ReadModelIncomplete& error) {
            wait_for_rebuild(outage, error.what(), stop);
        } catch (const escqrs::StoreError& error) {
            failed("read model unavailable, waiting for it", error.what());
            wait_for_read_model(outage, stop);
        } catch (...) {
            failed("worker failed, trying again", escqrs::text_of(std::current_exception()));
            sleep_for(*options_.clock, outage.next(), stop);
        }
    }
    status_.stop();
}

/// Tells whoever looks at the log, the counters, or the status.
void MessageWorker::failed(const char* what, const std::string& error)
{
    std::string text = std::string{what} + ": " + readable(error, max_error_length);
    options_.log(text);
    options_.on_failure();
    status_.came_round(options_.clock->steady(), std::move(text));
}

/// Every delivery counts against a message. So while nothing can be written, none is taken: an outage, however long,
/// costs a message one delivery and no more.
void MessageWorker::wait_for_read_model(Backoff& backoff, const std::stop_token& stop)
{
    while (sleep_for(*options_.clock, backoff.next(), stop)) {
        try {
            require_writable(read_model_);
            options_.log("read model available again");
            return;
        } catch (const escqrs::StoreError& error) {
            failed("read model still unavailable", error.what());
        }
    }
}

BatchResult MessageWorker::work_once(std::stop_token stop)
{
    if (const auto gap = progress_.gap()) throw ReadModelIncomplete{*gap};
    count_dead_lettered(); // those of an earlier batch, if that failed
    auto batch = receiver_.receive(options_.batch_size, options_.max_wait, stop);
    if (batch.empty()) return {};
    Verdicts verdicts;
    std::optional<std::string> gap;
    try {
        LockKeeper locks{receiver_, batch, *options_.clock};
        verdicts = handle(batch, locks, stop);
        gap = find_gap(batch, verdicts, locks, stop);
    } catch (...) {
        give_back(batch);
        options_.on_batch({.received = batch.size(), .abandoned = batch.size()});
        throw;
    }
    const BatchResult result = settle(batch, std::move(verdicts), stop.stop_requested());
    options_.on_batch(result);
    uncounted_ += result.dead_lettered;
    count_dead_lettered();
    if (gap) throw ReadModelIncomplete{*gap};
    return result;
}

/// One verdict for each message; none for one whose lock is lost.
MessageWorker::Verdicts MessageWorker::handle(const std::vector<ReceivedMessage>& batch, LockKeeper& locks,
                                              const std::stop_token& stop)
{
    if (stop.stop_requested()) return Verdicts(batch.size(), Verdict{});
    if (auto verdicts = handle(batch, locks, stop, Undo::all)) return *std::move(verdicts);
    return handle(batch, locks, stop, Undo::each).value();
}

/// Handles the batch in one transaction. A savepoint for each message takes an eighth of the work, and only a batch in which
/// something has to be undone needs them.
/// @return nothing if something has to be undone, and so all of it was
std::optional<MessageWorker::Verdicts> MessageWorker::handle(const std::vector<ReceivedMessage>& batch,
                                                             LockKeeper& locks, const std::stop_token& stop, Undo undo)
{
    Verdicts verdicts(batch.size());
    std::unordered_set<std::string_view> failed_sessions;
    std::uint64_t new_events = 0;
    read_model::Transaction transaction{read_model_};
    for (std::size_t index = 0; index < batch.size(); ++index) {
        const ReceivedMessage& message = batch[index];
        const std::string& session = message.message.session_id;
        locks.renew_if_due();
        if (locks.is_lost(index)) {
            failed_sessions.insert(session);
        } else if (stop.stop_requested() || (!session.empty() && failed_sessions.contains(session))) {
            verdicts[index] = Verdict{};
        } else {
            verdicts[index] = handle_one(message, undo);
            const Outcome outcome = verdicts[index]->outcome;
            const bool failed = outcome == Outcome::failed || outcome == Outcome::poison; // early: nothing was written
            if (failed && undo == Undo::all) return std::nullopt;
            if (failed) failed_sessions.insert(session);
            if (verdicts[index]->is_new) ++new_events;
        }
    }
    try {
        if (new_events != 0) progress_.add_events(new_events);
        transaction.commit();
    } catch (const escqrs::StoreError& error) {
        // A subscriber may have swallowed the error after which PostgreSQL refuses everything.
        if (undo == Undo::all && escqrs::classify(error) == escqrs::FailureKind::refused) return std::nullopt;
        throw;
    }
    return verdicts;
}

MessageWorker::Verdict MessageWorker::handle_one(const ReceivedMessage& message, Undo undo)
{
    const auto verdict = [](Outcome outcome, const char* reason, const std::string& error) {
        return Verdict{.outcome = outcome, .reason = reason, .description = readable(error, max_description_length)};
    };
    try {
        std::optional<read_model::Savepoint> part;
        if (undo == Undo::each) part.emplace(read_model_);
        const bool is_new = apply(message.message);
        // A subscriber may have swallowed the error after which SQLite rolled back everything.
        if (!read_model_.in_transaction()) throw escqrs::StoreError{"the transaction was undone"};
        if (part) part->commit();
        return {.outcome = Outcome::handled, .reason = {}, .description = {}, .is_new = is_new};
    } catch (const escqrs::UnknownEventType& error) {
        return verdict(Outcome::poison, "UnknownEventType", error.what());
    } catch (const escqrs::NewerSchemaVersion& error) {
        return verdict(Outcome::poison, "NewerSchemaVersion", error.what());
    } catch (const escqrs::CodecError& error) {
        return verdict(Outcome::poison, "CodecError", error.what());
    } catch (const OutOfOrder& error) {
        Verdict early = verdict(Outcome::early, "OutOfOrder", error.what());
        early.missing = EventPlace{error.stream(), error.expected()};
        return early;
    } catch (...) {
        const std::string error = escqrs::text_of(std::current_exception());
        if (is_outage(std::current_exception())) throw escqrs::StoreError{error};
        // After some errors SQLite has rolled back everything, not only the part.
        if (!read_model_.in_transaction()) throw escqrs::StoreError{error};
        return verdict(Outcome::failed, "HandlerFailed", error);
    }
}

/// @return false if it is a duplicate
bool MessageWorker::apply(const escqrs::Message& message)
{
    using escqrs::Advance;
    // The version counts messages: once for each, however many events upcasters make of it, even none.
    std::optional<Advance> advance;
    const auto count = [&](const escqrs::EventContext& context) {
        if (advance) return;
        if (context.version == escqrs::StreamVersion{})
            throw escqrs::CodecError{"stream version: expected at least 1, found 0"};
        advance = checkpoint_.advance(context.stream, context.version);
        if (*advance == Advance::gap) throw OutOfOrder{context, checkpoint_.version_of(context.stream).next()};
    };
    count(events_.decode(message, [&](const auto& event, const escqrs::EventContext& context) {
        count(context);
        if (*advance == Advance::apply) bus_->publish(event, context);
    }));
    return *advance == Advance::apply;
}

escqrs::Disposition MessageWorker::disposition_of(const ReceivedMessage& message, const Verdict& verdict)
{
    if (verdict.outcome == Outcome::handled) return escqrs::Complete{};
    if (verdict.reason.empty()) return escqrs::Abandon{};
    const auto log = [&](const char* what) {
        options_.log("message '" + readable(message.message.message_id, 128) + "' " + what + ": " + verdict.reason +
                     ": " + readable(verdict.description, max_error_length));
    };
    if (verdict.outcome == Outcome::poison || message.delivery_count >= options_.max_attempts) {
        log("dead-lettered");
        return escqrs::DeadLetter{verdict.reason, verdict.description};
    }
    log("given back");
    return escqrs::Abandon{{{"lastError", verdict.reason + ": " + readable(verdict.description, max_error_length)}}};
}

BatchResult MessageWorker::settle(const std::vector<ReceivedMessage>& batch, Verdicts verdicts, bool is_stopped)
{
    BatchResult result;
    result.received = batch.size();
    // The receiver may still hold a message whose lock is lost by this machine's clock, and its session with it.
    std::vector<ReceivedMessage> lost_before_settling;
    for (std::size_t index = 0; index < batch.size(); ++index) {
        if (!verdicts[index] && receiver_.can_release()) lost_before_settling.push_back(batch[index]);
    }
    std::vector<ReceivedMessage> untouched;
    if (is_stopped && receiver_.can_release()) untouched = take_untouched(batch, verdicts);
    result.abandoned = untouched.size();
    std::vector<Settlement> settlements;
    settlements.reserve(batch.size());
    for (std::size_t index = 0; index < batch.size(); ++index) {
        if (!verdicts[index]) continue;
        settlements.push_back({batch[index], disposition_of(batch[index], *verdicts[index])});
    }
    result.lock_lost = batch.size() - settlements.size() - result.abandoned;
    const auto results = settle(settlements);
    for (std::size_t index = 0; index < settlements.size(); ++index) {
        const auto& disposition = settlements[index].disposition;
        // With the first message of a session that is abandoned, the queue takes back those that follow it.
        if (std::holds_alternative<escqrs::Abandon>(disposition)) ++result.abandoned;
        else if (results.at(index) == escqrs::SettlementResult::lock_lost) ++result.lock_lost;
        else if (std::holds_alternative<escqrs::Complete>(disposition)) ++result.completed;
        else ++result.dead_lettered;
    }
    // The earlier messages of their sessions are settled by now.
    if (!untouched.empty()) receiver_.release(untouched);
    if (!lost_before_settling.empty()) receiver_.release(lost_before_settling);
    return result;
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

/// What was not looked at; its verdicts are taken away. Where an earlier message of the session goes back, its way goes for the
/// later ones too.
std::vector<ReceivedMessage> MessageWorker::take_untouched(const std::vector<ReceivedMessage>& batch,
                                                           Verdicts& verdicts)
{
    std::vector<ReceivedMessage> untouched;
    std::unordered_set<std::string_view> failed_sessions;
    for (std::size_t index = 0; index < batch.size(); ++index) {
        const std::string& session = batch[index].message.session_id;
        if (!verdicts[index] || verdicts[index]->outcome == Outcome::handled) continue;
        if (!verdicts[index]->reason.empty()) {
            failed_sessions.insert(session);
        } else if (session.empty() || !failed_sessions.contains(session)) {
            untouched.push_back(batch[index]);
            verdicts[index].reset();
        }
    }
    return untouched;
}

std::vector<escqrs::SettlementResult> MessageWorker::settle(std::vector<Settlement>& settlements)
{
    try {
        return receiver_.settle(settlements);
    } catch (const escqrs::TransportError&) {
        // A message may be too large to take a property as well. That must not keep the others from being settled.
        bool changed = false;
        for (auto& settlement : settlements) {
            auto* const abandon = std::get_if<escqrs::Abandon>(&settlement.disposition);
            if (abandon == nullptr || abandon->properties.empty()) continue;
            abandon->properties.clear();
            changed = true;
        }
        if (!changed) throw;
        return receiver_.settle(settlements);
    }
}

void MessageWorker::give_back(const std::vector<ReceivedMessage>& batch) noexcept
{
    try {
        std::vector<Settlement> settlements;
        settlements.reserve(batch.size());
        for (const ReceivedMessage& message : batch) settlements.push_back({message, escqrs::Abandon{}});
        receiver_.settle(settlements);
    } catch (...) {
        // Their locks run out by themselves.
        options_.log("cannot give messages back: " +
                     readable(escqrs::text_of(std::current_exception()), max_error_length));
    }
}

} // namespace conference
