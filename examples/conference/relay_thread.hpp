// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "application/attendee_events.hpp"
#include "application/relay_place.hpp"
#include "application/settings.hpp"
#include "queue.hpp"
#include "worker/keep_running.hpp"

#include <escqrs/core/clock.hpp>
#include <escqrs/messaging/any_message_queue.hpp>
#include <escqrs/messaging/relay.hpp>
#include <escqrs/store/any_event_store.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

namespace conference {

/// Runs the relay in its own thread, from the store to the queue.
class RelayThread {
public:
    /// @param give_up  as for `open_relay_place`
    RelayThread(const Settings& settings, escqrs::AnyEventStore& store, std::stop_token give_up, Log log)
        : place_{open_relay_place(settings, std::move(give_up))}, log_{std::move(log)}
    {
        check(store);
    }

    void start(escqrs::AnyEventStore& store, escqrs::AnyMessageQueue& queue)
    {
        thread_ = std::jthread{[this, &store, &queue](const std::stop_token& stop) {
            keep_running([&](const auto& token) { run(store, queue, token); }, stop);
        }};
    }

    escqrs::GlobalPosition position() const noexcept { return place_->position(); }

    /// How many events the log holds, if it ends at `head`.
    std::uint64_t events(escqrs::GlobalPosition head) const noexcept
    {
        return head.value() - std::min(head.value(), place_->holes());
    }

    /// What keeps it from its work: its place is not in this log, which a person has to decide about, or it has failed
    /// to send what follows. Any thread.
    std::optional<std::string> problem(escqrs::GlobalPosition head) const
    {
        const std::scoped_lock lock{mutex_};
        if (problem_) return problem_;
        if (failure_ && failed_at_ == position() && failed_at_ < head) return failure_;
        return std::nullopt;
    }

    /// How many streams this process holds back because one of their events cannot be sent.
    std::size_t parked_streams() const noexcept { return parked_streams_.load(std::memory_order_relaxed); }

private:
    /// How often a standby process checks for its turn.
    static constexpr std::chrono::seconds patience{1};

    void run(escqrs::AnyEventStore& store, escqrs::AnyMessageQueue& queue, const std::stop_token& stop)
    {
        while (!stop.stop_requested()) {
            try {
                if (!check(store)) {
                    escqrs::sleep_for(escqrs::system_clock(), patience, stop);
                    continue;
                }
                place_->count_holes(store, stop);
                const auto translate =
                    [this, messages = AttendeeMessages{"/conference"}](const escqrs::RecordedEvent& event) mutable {
                        place_->pass(event.position);
                        return messages(event);
                    };
                escqrs::Relay relay{store, *place_, *place_, queue, translate, options(store, stop)};
                log_("relay: this process relays");
                send_parked(relay);
                relay.run(stop);
            } catch (const escqrs::LogMismatch&) { // `check` says so
            } catch (const RelayedElsewhere&) {
                escqrs::sleep_for(escqrs::system_clock(), patience, stop);
            } catch (...) {
                failed(std::current_exception());
                escqrs::sleep_for(escqrs::system_clock(), patience, stop);
            }
        }
    }

    /// @return whether the relay can continue from its place, for all that is known
    bool check(escqrs::AnyEventStore& store)
    {
        std::optional<std::string> problem;
        try {
            escqrs::require_same_log(store, *place_);
        } catch (const escqrs::LogMismatch& mismatch) {
            problem = mismatch.what();
        } catch (...) { // NOLINT(bugprone-empty-catch): the relay meets it again
        }
        const std::scoped_lock lock{mutex_};
        if (problem && problem != problem_) log_("relay: " + *problem);
        problem_ = std::move(problem);
        return !problem_;
    }

    /// What could not be sent may be sent now, by newer code or to a queue that takes more.
    template <class Relay>
    void send_parked(Relay& relay)
    {
        for (const escqrs::ParkedStream& parked : relay.parked()) {
            const bool is_sent = relay.replay(parked.stream);
            log_("relay: stream '" + parked.stream.text() + "' was parked" +
                 (is_sent ? ", and is sent" : ", and stays so"));
        }
        parked_streams_.store(relay.parked().size(), std::memory_order_relaxed);
    }

    escqrs::SubscriptionOptions options(escqrs::AnyEventStore& store, const std::stop_token& stop)
    {
        escqrs::SubscriptionOptions options;
        options.on_caught_up = [this, &store, stop](escqrs::GlobalPosition) { place_->count_holes(store, stop); };
        options.max_retry_delay = patience;
        options.on_failure = [this](const std::exception_ptr& failure, escqrs::Duration) {
            try {
                std::rethrow_exception(failure);
            } catch (const escqrs::LogMismatch&) { // `check` says so
            } catch (const RelayedElsewhere&) {
                // Nothing is wrong: this process stands by.
            } catch (const escqrs::StreamParked& error) {
                parked_streams_.fetch_add(1, std::memory_order_relaxed);
                log_(std::string{"relay: "} + error.what());
            } catch (...) {
                failed(failure);
            }
        };
        return options;
    }

    void failed(const std::exception_ptr& failure)
    {
        const std::string text = escqrs::text_of(failure);
        log_("relay: " + text);
        const std::scoped_lock lock{mutex_};
        failure_ = text;
        failed_at_ = position();
    }

    std::unique_ptr<RelayPlace> place_;
    Log log_;
    mutable std::mutex mutex_;
    std::optional<std::string> problem_;
    std::optional<std::string> failure_; ///< the last one, at this place:
    escqrs::GlobalPosition failed_at_;
    std::atomic<std::size_t> parked_streams_{0};
    std::jthread thread_; ///< last: it ends before what it uses
};

} // namespace conference
