// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/bookmark.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/messaging/detail/relay_page.hpp>
#include <escqrs/messaging/message_queue.hpp>
#include <escqrs/projections/log_guard.hpp>
#include <escqrs/projections/parking_lot.hpp>
#include <escqrs/projections/subscription.hpp>
#include <escqrs/store/event_store.hpp>

#include <algorithm>
#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace escqrs::inline v0 {

/// Publishes the store's log on a queue: the log is the outbox.
///
/// Nothing is sent that was not stored; everything stored is sent at least once, in log order. A page that was sent but
/// not checkpointed is sent again; the queue drops it by message id, within its window, and consumers by stream
/// version. `Translate` makes a message from an event: `Message translate(const RecordedEvent&)`, see `CloudEvents`.
///
/// A stream is sent whole or not at all, since consumers wait for the version that comes next: the options may filter
/// by category, and by a predicate that decides alike about all events of a stream. One relay at a time for each
/// checkpoint, also for `replay`.
///
/// An event that cannot be sent, because it cannot become a message or the queue refuses the message
/// (`MessageRefused`), is parked, and so are all later events of its stream; other streams continue. The relay calls
/// `on_failure` with a `StreamParked`. Any other failure of the sender passes: the page is sent again after a delay.
/// With a parking lot the checkpoint continues past parked events, which wait for `replay`. Without one it stays before
/// the first of them: a new relay tries them again, and sends again what was sent since.
/// @par Thread safety  `position`, `parked` and `replay` may be called from any thread; `run` it in its own thread.
/// Checkpoint, parking lot, sender and `translate` are used by one thread at a time
template <EventStore Store, Checkpoint CheckpointType, MessageSender Sender, class Translate,
          class Parking = NoParkingLot>
class Relay {
public:
    /// @param store, checkpoint, sender  must outlive the relay
    /// @throws InvalidOption, also if the options filter by type
    Relay(Store& store, CheckpointType& checkpoint, Sender& sender, Translate translate,
          SubscriptionOptions options = {})
        requires std::same_as<Parking, NoParkingLot>
        : Relay{store, checkpoint, nullptr, sender, std::move(translate), std::move(options)}
    {
    }

    /// @param store, checkpoint, parked, sender  must outlive the relay
    Relay(Store& store, CheckpointType& checkpoint, Parking& parked, Sender& sender, Translate translate,
          SubscriptionOptions options = {})
        requires ParkedStreams<Parking>
        : Relay{store, checkpoint, &parked, sender, std::move(translate), std::move(options)}
    {
    }

    /// Sends the events after the checkpoint.
    /// @return the position reached
    /// @throws InvalidOption if the predicate took an event, but not the one before it in the stream; LogMismatch; what
    ///         store, checkpoint and sender throw
    /// @throws StreamParked if a stream was parked and there is no parking lot to keep it, once all others are sent
    GlobalPosition catch_up()
    {
        first_parked_.reset();
        const auto reached = subscription_.catch_up([this](const RecordedEvent& event) { collect(event); },
                                                    [this](GlobalPosition position) { send(position); });
        if (!has_parking && first_parked_) throw StreamParked{*first_parked_};
        return reached;
    }

    /// Sends, then continues with whatever is appended, until stopped; backs off after a failure.
    /// @throws LogMismatch, InvalidOption as `catch_up`, after a call of `on_failure`
    void run(stop_token stop)
    {
        subscription_.run(
            std::move(stop), [this](const RecordedEvent& event) { collect(event); },
            [this](GlobalPosition position) { send(position); });
    }

    /// The streams that are parked, in order of their names.
    std::vector<ParkedStream> parked()
    {
        const std::scoped_lock lock{mutex_};
        auto all = parking().all();
        std::erase_if(all, [](const ParkedStream& parked) { return !parked.is_parked(); });
        return all;
    }

    /// Sends the parked events of a stream, in order, page by page. Events that were sent are no longer parked; from the
    /// first that cannot be sent, the rest stay parked.
    /// @return whether nothing of the stream is parked now
    /// @throws LogMismatch; what store, checkpoint and sender throw; pages sent before stay sent and unparked
    bool replay(const StreamId& stream);

    /// How far the log is known to be on the queue, except for what the options' filter leaves out and what is parked
    /// in a lot.
    GlobalPosition position() const noexcept { return GlobalPosition{position_.load(std::memory_order_relaxed)}; }

private:
    static constexpr bool has_parking = ParkedStreams<Parking>;

    static constexpr bool knows_log = requires(CheckpointType& checkpoint) { checkpoint.bookmark(); };

    /// The checkpoint as the subscription sees it.
    struct GuardedCheckpoint {
        Relay* relay;

        GlobalPosition load() { return relay->load().position; }
        void save(GlobalPosition position) { relay->lock_and_save({position}); }
        Bookmark bookmark()
            requires knows_log
        {
            return relay->load();
        }
        void save_bookmark(const Bookmark& mark)
            requires knows_log
        {
            relay->lock_and_save(mark);
        }
        auto name() const
            requires requires(CheckpointType& checkpoint) { std::string{checkpoint.name()}; }
        {
            return relay->checkpoint_->name();
        }
    };

    Relay(Store& store, CheckpointType& checkpoint, Parking* parking, Sender& sender, Translate translate,
          SubscriptionOptions options)
        : store_{&store}, checkpoint_{&checkpoint}, parking_{parking}, sender_{&sender},
          translate_{std::move(translate)}, options_{checked(std::move(options))},
          saved_{detail::bookmark_of(checkpoint)}, resume_{saved_}, read_{saved_.position}, position_{read_.value()},
          subscription_{store, guarded_checkpoint_, options_}
    {
    }

    static SubscriptionOptions checked(SubscriptionOptions options)
    {
        if (!options.filter.types.empty()) refuse_gaps("filter.types", "'" + options.filter.types.front() + "'");
        return detail::checked(std::move(options));
    }

    [[noreturn]] static void refuse_gaps(std::string_view option, const std::string& found)
    {
        throw InvalidOption{option, "whole streams (consumers wait for the version that comes next)", found};
    }

    auto& parking() noexcept
    {
        if constexpr (has_parking) return *parking_;
        else return remembered_;
    }

    void collect(const RecordedEvent& event)
    {
        check_predicate(event);
        const std::scoped_lock lock{mutex_};
        page_.add(event, translate_);
    }

    void lock_and_save(const Bookmark& mark)
    {
        const std::scoped_lock lock{mutex_};
        save(mark);
    }

    void check_predicate(const RecordedEvent& event);
    Bookmark load();
    void save(const Bookmark& mark);
    void send(GlobalPosition reached);
    void leave_out_parked();
    std::vector<ParkedStream> deliver(detail::RelayPage& page);
    bool replay_page(const StreamId& stream);

    Store* store_;
    CheckpointType* checkpoint_;
    Parking* parking_;
    std::conditional_t<has_parking, NoParkingLot, detail::RememberedStreams> remembered_;
    Sender* sender_;
    Translate translate_;
    SubscriptionOptions options_;
    std::mutex mutex_; ///< guards all but the page and constants
    Bookmark saved_;
    /// Where reading continues while the checkpoint is as saved.
    Bookmark resume_;
    GlobalPosition read_; ///< up to there, events are sent or parked
    std::atomic<std::uint64_t> position_;
    GuardedCheckpoint guarded_checkpoint_{this};
    Subscription<Store, GuardedCheckpoint> subscription_;
    detail::RelayPage page_;
    std::optional<ParkedStream> first_parked_; ///< in this call of `catch_up`
};

template <EventStore Store, Checkpoint CheckpointType, MessageSender Sender, class Translate, class Parking>
void Relay<Store, CheckpointType, Sender, Translate, Parking>::check_predicate(const RecordedEvent& event)
{
    if (!options_.predicate || event.version <= StreamVersion{1}) return;
    const StreamVersion before{event.version.value() - 1};
    store_->read_stream(event.stream, before, [&](const RecordedEvent& earlier) {
        if (!options_.predicate(earlier)) {
            refuse_gaps("predicate", "version " + std::to_string(event.version.value()) + " of stream '" +
                                         event.stream.text() + "' taken, but not version " +
                                         std::to_string(before.value()));
        }
        return false;
    });
}

template <EventStore Store, Checkpoint CheckpointType, MessageSender Sender, class Translate, class Parking>
Bookmark Relay<Store, CheckpointType, Sender, Translate, Parking>::load()
{
    page_.clear(); // it may hold the rest of one that failed
    const std::scoped_lock lock{mutex_};
    const Bookmark loaded = detail::bookmark_of(*checkpoint_);
    if (loaded.position != saved_.position || (knows_log && loaded != saved_)) { // another relay was here
        if constexpr (!has_parking) remembered_.clear();
        saved_ = resume_ = loaded;
    }
    read_ = resume_.position;
    return resume_;
}

/// Without a parking lot, saves no position at or beyond a parked event.
template <EventStore Store, Checkpoint CheckpointType, MessageSender Sender, class Translate, class Parking>
void Relay<Store, CheckpointType, Sender, Translate, Parking>::save(const Bookmark& mark)
{
    Bookmark safe = mark;
    if constexpr (!has_parking) {
        safe.position = remembered_.sent_up_to(mark.position);
        if (safe.position != mark.position) safe.event = {};
    }
    detail::save(*checkpoint_, safe);
    saved_ = safe;
    resume_ = mark;
    position_.store(safe.position.value(), std::memory_order_relaxed);
}

template <EventStore Store, Checkpoint CheckpointType, MessageSender Sender, class Translate, class Parking>
void Relay<Store, CheckpointType, Sender, Translate, Parking>::send(GlobalPosition reached)
{
    std::vector<ParkedStream> parked;
    {
        const std::scoped_lock lock{mutex_};
        leave_out_parked();
        parked = deliver(page_);
        for (const ParkedStream& stream : parked) parking().put(stream);
        read_ = reached;
        page_.clear();
    }
    for (const ParkedStream& stream : parked) {
        if (!first_parked_) first_parked_ = stream;
        if (options_.on_failure) options_.on_failure(std::make_exception_ptr(StreamParked{stream}), Duration::zero());
    }
}

/// Adds the events of parked streams to what is parked of them.
template <EventStore Store, Checkpoint CheckpointType, MessageSender Sender, class Translate, class Parking>
void Relay<Store, CheckpointType, Sender, Translate, Parking>::leave_out_parked()
{
    if (parking().is_empty()) return;
    for (std::size_t index = 0; index < page_.size();) {
        const auto& event = page_.origins()[index];
        auto parked = parking().find(event.stream);
        if (!parked || !parked->is_parked() || event.version < parked->version) {
            ++index;
            continue;
        }
        if (event.version > parked->last) { // else the page is shown again
            parked->last = event.version;
            ++parked->events;
            parking().put(*parked);
        }
        page_.erase(index);
    }
}

/// Sends what can be sent of a page.
/// @return the streams that must be parked because of the rest
template <EventStore Store, Checkpoint CheckpointType, MessageSender Sender, class Translate, class Parking>
std::vector<ParkedStream> Relay<Store, CheckpointType, Sender, Translate, Parking>::deliver(detail::RelayPage& page)
{
    std::vector<ParkedStream> parked;
    const auto take_out = [&](std::size_t index, std::string error) {
        ParkedStream taken = page.take_out(index, std::move(error));
        const auto later = std::ranges::find(parked, taken.stream, &ParkedStream::stream);
        if (later == parked.end()) return parked.push_back(std::move(taken));
        taken.last = later->last;
        taken.events += later->events;
        *later = std::move(taken);
    };
    for (std::size_t index = 0; index < page.size();) {
        if (const auto problem = page.origins()[index].problem) take_out(index, *problem);
        else ++index;
    }
    while (!page.empty()) {
        try {
            sender_->send(page.messages());
            break;
        } catch (const MessageRefused& refusal) {
            const auto index = page.find(refusal.message_id());
            if (!index) throw;
            take_out(*index, refusal.what());
        }
    }
    return parked;
}

template <EventStore Store, Checkpoint CheckpointType, MessageSender Sender, class Translate, class Parking>
bool Relay<Store, CheckpointType, Sender, Translate, Parking>::replay(const StreamId& stream)
{
    const std::scoped_lock lock{mutex_};
    detail::LogGuard<Store> guard{*store_, detail::description_of(*checkpoint_)};
    (void)guard.begin(resume_);
    while (replay_page(stream)) {}
    if constexpr (!has_parking) save(resume_);
    const auto left = parking().find(stream);
    return !left || !left->is_parked();
}

/// @return whether there is more to try
template <EventStore Store, Checkpoint CheckpointType, MessageSender Sender, class Translate, class Parking>
bool Relay<Store, CheckpointType, Sender, Translate, Parking>::replay_page(const StreamId& stream)
{
    auto parked = parking().find(stream);
    if (!parked || !parked->is_parked()) return false;
    detail::RelayPage page;
    bool is_page_full = false;
    // All that was read since the stream was parked is parked, whatever number of events that was.
    store_->read_stream(stream, parked->version, [&](const RecordedEvent& event) {
        if (event.position > read_) return false;
        if (!options_.filter.matches(stream.category(), event.type) || !detail::is_wanted(options_, event)) return true;
        is_page_full = page.size() == options_.page_size;
        if (is_page_full) {
            parked->version = event.version;
            parked->position = event.position;
            return false;
        }
        page.add(event, translate_);
        return true;
    });
    const std::size_t tried = page.size();
    const std::vector<ParkedStream> again = deliver(page);
    const std::uint64_t sent = tried - (again.empty() ? 0 : again.front().events);
    parked->events = parked->events > sent ? parked->events - sent : 1; // not exact if the filter has changed
    if (!again.empty()) {
        parked->version = again.front().version;
        parked->position = again.front().position;
        parked->error = again.front().error;
    }
    if (again.empty() && !is_page_full) parking().remove(stream);
    else parking().put(*parked);
    return again.empty() && is_page_full;
}

} // namespace escqrs::inline v0
