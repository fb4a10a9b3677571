// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/identifiers.hpp>

#include <algorithm>
#include <mutex>

namespace escqrs::in_memory {

/// A checkpoint that lives as long as the program, for read models that do the same.
///
/// There is nothing to roll back in memory: if a projection's handler throws halfway through a page, what it wrote stays,
/// and the page comes again. Handlers of an in-memory read model should allow for that.
/// @par Thread safety  every operation may be called from any thread; transactions exclude each other
class Checkpoint {
public:
    class Transaction {
    public:
        GlobalPosition position() const noexcept { return place_->position_; }
        GlobalPosition replay_until() const noexcept { return place_->replay_until_; }
        void commit(GlobalPosition position) noexcept { place_->position_ = position; }
        void commit_restart() noexcept
        {
            place_->replay_until_ = std::max(place_->replay_until_, place_->position_);
            place_->position_ = {};
        }

    private:
        friend Checkpoint;
        explicit Transaction(Checkpoint& place) : place_{&place}, lock_{place.mutex_} {}

        Checkpoint* place_;
        std::unique_lock<std::mutex> lock_;
    };

    GlobalPosition load() { return begin().position(); }
    void save(GlobalPosition position) { begin().commit(position); }
    Transaction begin() { return Transaction{*this}; }

private:
    std::mutex mutex_;
    GlobalPosition position_;
    GlobalPosition replay_until_;
};

} // namespace escqrs::in_memory
