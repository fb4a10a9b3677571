// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// Shared by rooms; not API.

#include <escqrs/core/bookmark.hpp>
#include <escqrs/core/error.hpp>
#include <escqrs/store/event_store.hpp>

#include <string>
#include <utility>

namespace escqrs::inline v0::detail {

/// The bookmark of `checkpoint`: a checkpoint, or a transaction on one. The user's own checkpoints may keep the
/// position only.
template <class CheckpointType>
Bookmark bookmark_of(CheckpointType& checkpoint)
{
    if constexpr (requires { checkpoint.bookmark(); }) return checkpoint.bookmark();
    else if constexpr (requires { checkpoint.load(); }) return {checkpoint.load()};
    else return {checkpoint.position()};
}

template <class CheckpointType>
void save(CheckpointType& checkpoint, const Bookmark& mark)
{
    if constexpr (requires { checkpoint.save_bookmark(mark); }) checkpoint.save_bookmark(mark);
    else checkpoint.save(mark.position);
}

/// Makes a checkpoint from before checkpoints knew their log remember it.
template <class CheckpointType>
void adopt(CheckpointType& checkpoint, const Bookmark& saved, const Bookmark& mark)
{
    if constexpr (requires { checkpoint.save_bookmark(mark); }) {
        if (saved.log.is_nil() && mark.position != GlobalPosition{}) checkpoint.save_bookmark(mark);
    }
}

template <class Transaction>
void commit(Transaction& transaction, const Bookmark& mark)
{
    if constexpr (requires { transaction.commit_bookmark(mark); }) transaction.commit_bookmark(mark);
    else transaction.commit(mark.position);
}

/// "checkpoint 'orders'", if it has a name.
template <class CheckpointType>
std::string description_of(CheckpointType& checkpoint)
{
    if constexpr (requires { std::string{checkpoint.name()}; })
        return "checkpoint '" + std::string{checkpoint.name()} + '\'';
    else return "checkpoint";
}

[[noreturn]] inline void throw_mismatch(const std::string& reader, const Bookmark& mark, LogId log, GlobalPosition head)
{
    std::string text = reader + " at position " + std::to_string(mark.position.value());
    const std::string head_text = "position " + std::to_string(head.value());
    if (mark.log != log) {
        text +=
            ": expected log " + to_string(mark.log) + ", found log " + to_string(log) + ", which ends at " + head_text;
    } else if (head < mark.position) {
        text += ": found the end of log " + to_string(log) + " at " + head_text +
                "; it was restored from an older backup, or a failover lost its last events";
    } else {
        text +=
            ": expected event " + to_string(mark.event) + ", which log " + to_string(log) +
            " does not hold there any more; it was restored from an older backup, or a failover lost its last events, "
            "and it has gone on to " +
            head_text;
    }
    throw LogMismatch{text, mark, log, head};
}

/// Keeps a reader from any log but the one that its checkpoint was made from.
///
/// The log's id is compared when a reader begins and after a failure. The event at the checkpoint is looked up then,
/// when there is nothing more to read, and once in each page, after the store has read it: by then another server may
/// have taken over, which never got the last events. The first event of the page is shown after that.
/// @par Thread safety  none
template <EventStore Store>
class LogGuard {
public:
    /// @param reader  names the checkpoint in error messages
    LogGuard(Store& store, std::string reader) : store_{&store}, reader_{std::move(reader)} {}

    /// The bookmark of `checkpoint`; if that keeps positions only, with what is remembered here.
    template <class CheckpointType>
    Bookmark load(CheckpointType& checkpoint) const
    {
        const Bookmark mark = bookmark_of(checkpoint);
        if constexpr (requires { checkpoint.bookmark(); }) return mark;
        else return mark.position == last_.position ? last_ : mark;
    }

    /// @return `mark`, completed by log and event
    /// @throws LogMismatch if it is not of this log
    Bookmark begin(Bookmark mark)
    {
        const bool was_settled = std::exchange(is_settled_, false);
        if (!was_settled) log_ = store_->log_id();
        if (mark.log.is_nil() || mark.position == GlobalPosition{}) mark.log = log_;
        if (mark.log != log_) throw_mismatch(reader_, mark, log_, store_->head());
        if (!was_settled && mark.position != GlobalPosition{}) {
            check(mark);
            if (mark.event.is_nil()) mark.event = event_at(mark.position);
        }
        begin_page(mark);
        return mark;
    }

    /// Notes an event that was read, before it is handled.
    /// @throws LogMismatch as `check` does, for the beginning of the page
    void note(const RecordedEvent& event)
    {
        check_page();
        shown_ = {event.position, log_, event.id};
    }

    /// @throws LogMismatch unless the log still holds what has been read up to `mark`
    void check(const Bookmark& mark) const
    {
        if (!is_held(mark)) throw_mismatch(reader_, mark, log_, store_->head());
    }

    /// As `check`, for the live version of the read model that is being built.
    void check_live(Bookmark mark) const
    {
        if (mark.position == GlobalPosition{}) return;
        if (mark.log.is_nil()) mark.log = log_;
        if (mark.log == log_ && is_held(mark)) return;
        throw_mismatch("live version next to " + reader_, mark, log_, store_->head());
    }

    /// Ends a page, and begins the next one.
    /// @param reached  the last event that was read, or skipped
    /// @throws LogMismatch as `note`
    Bookmark advance(GlobalPosition reached)
    {
        check_page();
        has_advanced_ = true;
        if (shown_.position != reached) shown_ = {reached, log_, event_at(reached)};
        begin_page(shown_);
        return last_ = shown_;
    }

    /// True if `advance` was called since the last call of this function.
    bool take_advanced() noexcept { return std::exchange(has_advanced_, false); }

    /// Notes that all went well since `begin`.
    void settle() noexcept { is_settled_ = true; }

    /// The position up to which a reader that starts again takes events for handled, if its checkpoint is `mark`: 0
    /// with another log; with one that has lost its end, its present end, because nothing shows where the loss began.
    GlobalPosition handled_limit(const Bookmark& mark)
    {
        try {
            (void)begin(mark);
            return GlobalPosition{~std::uint64_t{0}};
        } catch (const LogMismatch& mismatch) {
            return mismatch.checkpoint().log == mismatch.log() ? mismatch.head() : GlobalPosition{};
        }
    }

private:
    void begin_page(const Bookmark& mark)
    {
        page_begin_ = mark;
        shown_ = mark;
        is_page_checked_ = mark.event.is_nil(); // if there are more events, the position is not beyond the end
    }
    void check_page()
    {
        if (!std::exchange(is_page_checked_, true)) check(page_begin_);
    }
    bool is_held(const Bookmark& mark) const
    {
        if (mark.position == GlobalPosition{}) return true;
        if (mark.event.is_nil()) return mark.position <= store_->head();
        const auto found = store_->locate(mark.event);
        return found && found->position == mark.position;
    }
    EventId event_at(GlobalPosition position) const
    {
        EventId id;
        store_->read_log(GlobalPosition{position.value() - 1}, 1, [&](const RecordedEvent& event) {
            if (event.position == position) id = event.id;
            return false;
        });
        return id;
    }

    Store* store_;
    std::string reader_;
    LogId log_;
    Bookmark shown_; ///< the last event shown
    /// For checkpoints that keep the position only.
    Bookmark last_;
    bool is_settled_ = false;
    bool has_advanced_ = false;
    Bookmark page_begin_;
    bool is_page_checked_ = false;
};

} // namespace escqrs::inline v0::detail
