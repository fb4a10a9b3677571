// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/event_store.hpp>
#include <escqrs/messaging.hpp>
#include <escqrs/subscription.hpp>

#include <atomic>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace escqrs {

/// Publishes the store's log on a queue: the log is the outbox.
///
/// Nothing is sent that was not stored; everything stored is sent at least once, in log order. A page that was sent but
/// not checkpointed is sent again; the queue drops it by message id, within its window, and consumers by stream version.
/// `Translate` makes a message of an event: `Message translate(const RecordedEvent&)`, see `CloudEvents`.
///
/// A stream is sent whole or not at all, since consumers wait for the version that comes next: the options may filter by
/// category, and by a predicate that decides alike about all events of a stream.
/// One relay at a time for each checkpoint.
/// @par Thread safety  none but for `position`; `run` it in a thread of its own
template <EventStore Store, Checkpoint Place, MessageSender Sender, class Translate>
class Relay {
public:
    /// @param store, place, sender  must outlive the relay
    /// @throws InvalidOption, also if the options filter by type
    Relay(Store& store, Place& place, Sender& sender, Translate translate, SubscriptionOptions options = {})
        : store_{&store}, predicate_{options.predicate}, subscription_{store, place, checked(std::move(options))},
          sender_{&sender}, translate_{std::move(translate)}, position_{place.load().value()}
    {
    }

    /// Sends the events after the checkpoint.
    /// @return the position reached
    /// @throws InvalidOption if the predicate took an event, but not the one before it in the stream
    GlobalPosition catch_up()
    {
        page_.clear();
        return subscription_.catch_up([this](const RecordedEvent& event) { collect(event); },
                                      [this](GlobalPosition reached) { send(reached); });
    }

    /// Sends, then goes on with whatever is appended, until stopped; backs off after a failure.
    void run(std::stop_token stop)
    {
        subscription_.run(
            std::move(stop), [this](const RecordedEvent& event) { collect(event); },
            [this](GlobalPosition reached) { send(reached); });
    }

    /// How far the log is known to be on the queue, but for what the options' filter keeps from it. May be called from any thread.
    GlobalPosition position() const noexcept { return GlobalPosition{position_.load(std::memory_order_relaxed)}; }

private:
    static SubscriptionOptions checked(SubscriptionOptions options)
    {
        if (!options.filter.types.empty()) refuse_gaps("filter.types", "'" + options.filter.types.front() + "'");
        return options;
    }

    [[noreturn]] static void refuse_gaps(std::string_view option, const std::string& found)
    {
        throw InvalidOption{option, "whole streams (consumers wait for the version that comes next)", found};
    }

    void check_predicate(const RecordedEvent& event)
    {
        if (!predicate_ || event.version <= StreamVersion{1}) return;
        const StreamVersion before{event.version.value() - 1};
        store_->read_stream(event.stream, before, [&](const RecordedEvent& earlier) {
            if (!predicate_(earlier)) {
                refuse_gaps("predicate", "version " + std::to_string(event.version.value()) + " of stream '" +
                                             event.stream.text() + "' taken, but not version " +
                                             std::to_string(before.value()));
            }
            return false;
        });
    }

    void collect(const RecordedEvent& event)
    {
        check_predicate(event);
        // Left over from a page that failed: that page is being shown again.
        if (!page_.empty() && event.position <= last_) page_.clear();
        page_.push_back(translate_(event));
        last_ = event.position;
    }

    void send(GlobalPosition reached)
    {
        if (!page_.empty()) sender_->send(page_);
        page_.clear();
        position_.store(reached.value(), std::memory_order_relaxed);
    }

    Store* store_;
    std::function<bool(const RecordedEvent&)> predicate_;
    Subscription<Store, Place> subscription_;
    Sender* sender_;
    Translate translate_;
    std::vector<Message> page_;
    GlobalPosition last_;
    std::atomic<std::uint64_t> position_;
};

} // namespace escqrs
