// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/bookmark.hpp>
#include <escqrs/core/identifiers.hpp>

#include <algorithm>
#include <cstdint>
#include <mutex>

namespace escqrs::inline v0::in_memory {

/// A checkpoint that lives as long as the program, for read models that do the same.
///
/// Memory has nothing to roll back: if a projection's handler throws halfway through a page, what it wrote stays, and
/// the page comes again. Handlers of a read model in memory must allow for that.
/// @par Thread safety  every operation may be called from any thread; transactions exclude each other, `load` and
/// `bookmark` wait for none
class Checkpoint {
public:
    /// Excludes other transactions on the checkpoint as long as it lives.
    class Transaction {
    public:
        /// As `TransactionalCheckpoint` describes it.
        /// @{
        GlobalPosition position() const noexcept { return place_->mark_.position; }
        Bookmark bookmark() const noexcept { return place_->mark_; }
        GlobalPosition replay_until() const noexcept { return place_->replay_until_; }
        void commit(GlobalPosition position) noexcept { commit_bookmark({position, place_->mark_.log}); }
        void commit_bookmark(const Bookmark& mark) noexcept { place_->write(mark, place_->replay_until_); }
        void commit_restart(GlobalPosition handled_limit = GlobalPosition{~std::uint64_t{0}}) noexcept
        {
            const GlobalPosition handled = std::max(place_->replay_until_, place_->mark_.position);
            place_->write({}, std::min(handled, handled_limit));
        }
        /// @}

    private:
        friend Checkpoint;
        explicit Transaction(Checkpoint& place) : place_{&place}, lock_{place.transaction_mutex_} {}

        Checkpoint* place_;
        std::unique_lock<std::mutex> lock_;
    };

    /// As `Checkpoint` and `TransactionalCheckpoint` describe it.
    /// @{
    GlobalPosition load() const { return bookmark().position; }
    Bookmark bookmark() const
    {
        const std::scoped_lock lock{mutex_};
        return mark_;
    }
    void save(GlobalPosition position) { save_bookmark({position}); }
    void save_bookmark(const Bookmark& mark) { begin().commit_bookmark(mark); }
    Transaction begin() { return Transaction{*this}; }
    /// @}

private:
    /// Call it in a transaction.
    void write(const Bookmark& mark, GlobalPosition replay_until) noexcept
    {
        const std::scoped_lock lock{mutex_};
        mark_ = mark;
        replay_until_ = replay_until;
    }

    std::mutex transaction_mutex_; ///< held during a transaction
    /// Held to write, and to read outside a transaction.
    mutable std::mutex mutex_;
    Bookmark mark_;
    GlobalPosition replay_until_;
};

} // namespace escqrs::inline v0::in_memory
