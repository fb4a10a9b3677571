// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// How a worker notices that its read model has lost events, and what it does then.
#include "lock_keeper.hpp"
#include "message_worker.hpp"

#include <escqrs/core/error.hpp>

#include <set>

namespace conference {
namespace {

/// Names no stream: anybody may see it as the reason why a role is not ready, and an attendee's id is a key.
constexpr const char* incomplete = "it lacks events that were handled before and will not come again: it is new, or an "
                                   "older backup. Start 'conference "
                                   "worker --rebuild' once, which builds it anew from the event log";

/// Erases the sessions of which a message is dead-lettered. Linear in the dead letters.
void erase_dead_lettered(escqrs::AnyMessageReceiver& receiver, std::set<std::string>& sessions, LockKeeper& locks,
                         const std::stop_token& stop)
{
    constexpr std::size_t page = 100;
    std::uint64_t after = 0;
    while (!sessions.empty() && !stop.stop_requested()) {
        locks.renew_if_due();
        const auto letters = receiver.dead_letters(after, page);
        if (letters.empty()) return;
        for (const auto& letter : letters) sessions.erase(letter.message.session_id);
        after = letters.back().sequence_number;
    }
}

} // namespace

/// Looks at the messages that have waited in vain for an earlier one of their session. Those that wait for what the read model has
/// lost are given back, and so are those that a stop request has kept from being looked at.
/// @return what is missing
std::optional<std::string> MessageWorker::find_gap(const std::vector<escqrs::ReceivedMessage>& batch,
                                                   Verdicts& verdicts, LockKeeper& locks, const std::stop_token& stop)
{
    if (!options_.has_sessions || !receiver_.can_list_dead_letters()) return std::nullopt;
    const auto waits_in_vain = [&](std::size_t index) {
        return verdicts[index] && verdicts[index]->missing && batch[index].delivery_count >= options_.max_attempts;
    };
    std::set<std::string> sessions;
    for (std::size_t index = 0; index < batch.size(); ++index) {
        if (waits_in_vain(index)) sessions.insert(batch[index].message.session_id);
    }
    if (sessions.empty()) return std::nullopt;
    erase_dead_lettered(receiver_, sessions, locks, stop);
    const LogLookup look_up = options_.look_up();
    bool can_ask = true; // a log that does not answer takes its time for it
    const auto is_lost = [&](const EventPlace& missing) {
        const auto is_stored = can_ask ? look_up(missing.stream, missing.version) : std::nullopt;
        can_ask = is_stored.has_value();
        return is_stored ? *is_stored : progress_.figures().events == 0;
    };
    std::optional<std::string> gap;
    for (std::size_t index = 0; index < batch.size(); ++index) {
        if (!waits_in_vain(index) || !sessions.contains(batch[index].message.session_id)) continue;
        Verdict& verdict = *verdicts[index];
        locks.renew_if_due();
        if (locks.is_lost(index)) {
            verdicts[index].reset();
            continue;
        }
        const bool is_first_lost = !gap && !stop.stop_requested() && is_lost(*verdict.missing); // one is enough
        if (!gap && !is_first_lost && !stop.stop_requested()) continue;
        verdict.reason.clear();
        if (!is_first_lost || !report_gap(batch[index], incomplete)) continue;
        options_.log("read model incomplete: " + verdict.description);
        gap = incomplete;
    }
    return gap;
}

/// @return false if the message does not come early any more: the read model has been built anew meanwhile
bool MessageWorker::report_gap(const escqrs::ReceivedMessage& message, const std::string& reason)
{
    read_model::Transaction transaction{read_model_};
    if (handle_one(message, Undo::all).outcome != Outcome::early) return false;
    progress_.report_gap(reason);
    transaction.commit();
    return true;
}

/// A worker of another process may build the read model anew.
void MessageWorker::wait_for_rebuild(Backoff& backoff, const std::string& reason, const std::stop_token& stop)
{
    failed("read model incomplete, no message is taken", reason);
    const auto problem = status_.problem(options_.clock->steady());
    while (sleep_for(*options_.clock, backoff.next(), stop)) {
        try {
            if (!progress_.gap()) {
                options_.log("read model built anew, going on");
                return;
            }
            status_.came_round(options_.clock->steady(), problem);
        } catch (const escqrs::StoreError& error) {
            failed("read model unavailable", error.what());
        }
    }
}

} // namespace conference
