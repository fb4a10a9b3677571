// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/events/basic_event_bus.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace escqrs::inline v0 {

namespace detail {

/// The subscribers of one type of event, in a table that is replaced as a whole when they change: calling them takes no
/// lock.
///
/// A replaced table is kept while a publisher may still be reading it. A publisher is counted, on one of two sides,
/// before it reads which table is current. So no publisher has a replaced table any more once each side has been empty
/// at some moment since the replacement. New publishers are counted on the side that need not become empty: a table is
/// destroyed even if there is never a moment without any publisher.
class SnapshotSignal {
public:
    class Slot;
    class Connection;

    template <class Handler>
    static Slot slot(Handler handler);
    template <class Handler, class Owner>
    static Slot slot(Handler handler, const std::shared_ptr<Owner>& owner);

    Connection connect(int group, Slot slot);
    void connect_tracked(int group, Slot slot);
    Failures operator()(const PublishedEvent& event) const;

private:
    struct Subscriber;
    class Subscribers;
    using Table = std::vector<std::shared_ptr<Subscriber>>; ///< by group, then in order of connection

    std::shared_ptr<Subscribers> subscribers_ = std::make_shared<Subscribers>();
};

/// A handler, perhaps with an owner that it must not outlive.
class SnapshotSignal::Slot {
public:
    explicit Slot(std::function<void(const PublishedEvent&)> handler) : handler_{std::move(handler)} {}
    Slot(std::function<void(const PublishedEvent&)> handler, std::weak_ptr<void> owner)
        : handler_{std::move(handler)}, owner_{std::move(owner)}, has_owner_{true}
    {
    }

    bool is_expired() const noexcept { return has_owner_ && owner_.expired(); }

    /// @return false if the owner is gone
    bool operator()(const PublishedEvent& event) const
    {
        const std::shared_ptr<void> owner = has_owner_ ? owner_.lock() : nullptr;
        if (has_owner_ && !owner) return false;
        handler_(event);
        return true;
    }

private:
    std::function<void(const PublishedEvent&)> handler_;
    std::weak_ptr<void> owner_;
    bool has_owner_ = false;
};

struct SnapshotSignal::Subscriber {
    Subscriber(int number, Slot given) : group{number}, slot{std::move(given)} {}

    int group;
    Slot slot;
    std::atomic<bool> is_connected{true};
};

class SnapshotSignal::Subscribers {
public:
    /// A publisher that reads the table.
    class Reader {
    public:
        explicit Reader(Subscribers& subscribers) noexcept
            : subscribers_{&subscribers}, side_{subscribers.side_.load(std::memory_order_relaxed)}
        {
            ++subscribers.readers_[side_];
            table_ = subscribers.current_.load(); // NOLINT(cppcoreguidelines-prefer-member-initializer): once counted
        }
        Reader(const Reader&) = delete;
        Reader& operator=(const Reader&) = delete;
        ~Reader()
        {
            if (--subscribers_->readers_[side_] == 0 && subscribers_->has_replaced_) subscribers_->discard_replaced();
        }

        const Table& table() const noexcept { return *table_; }

    private:
        Subscribers* subscribers_;
        std::size_t side_;
        const Table* table_;
    };

    void add(const std::shared_ptr<Subscriber>& subscriber)
    {
        {
            const std::scoped_lock lock{mutex_};
            auto next = std::make_unique<Table>();
            next->reserve(table_->size() + 1);
            copy_living(*next);
            const auto behind = std::ranges::upper_bound(*next, subscriber->group, {}, &Subscriber::group);
            next->insert(behind, subscriber);
            replace(std::move(next));
        }
        discard_replaced();
    }

    void remove(Subscriber& subscriber) noexcept
    {
        subscriber.is_connected = false;
        remove_dead();
    }

    /// Removes from the table what is disconnected or has lost its owner.
    void remove_dead() noexcept
    {
        try {
            {
                const std::scoped_lock lock{mutex_};
                auto next = std::make_unique<Table>();
                next->reserve(table_->size());
                copy_living(*next);
                replace(std::move(next));
            }
            discard_replaced();
        } catch (
            ...) { // NOLINT(bugprone-empty-catch): for want of memory it stays in the table, where it is passed over
        }
    }

private:
    void copy_living(Table& to) const
    {
        std::ranges::copy_if(*table_, std::back_inserter(to), [](const auto& subscriber) {
            return subscriber->is_connected && !subscriber->slot.is_expired();
        });
    }

    void replace(std::unique_ptr<const Table> next)
    {
        auto replaced = std::make_unique<Replaced>();
        current_ = next.get();
        replaced->table = std::exchange(table_, std::move(next));
        auto& end = oldest_ ? newest_->next : oldest_;
        end = std::move(replaced);
        newest_ = end.get();
        has_replaced_ = true;
    }

    /// Destroys the tables that no publisher reads any more; without the lock, because the destructors of what handlers
    /// have captured may do anything. The last publisher to leave a side calls this again for the others.
    void discard_replaced() noexcept
    {
        std::unique_ptr<Replaced> unused;
        {
            const std::scoped_lock lock{mutex_};
            const bool is_empty[]{readers_[0] == 0, readers_[1] == 0};
            Replaced* last_unused = nullptr;
            for (Replaced* each = oldest_.get(); each != nullptr; each = each->next.get()) {
                for (std::size_t side : {0U, 1U}) each->was_empty[side] = each->was_empty[side] || is_empty[side];
                // All that are older are unused then, too.
                if (each->was_empty[0] && each->was_empty[1]) last_unused = each;
            }
            if (last_unused != nullptr) unused = std::exchange(oldest_, std::move(last_unused->next));
            has_replaced_ = oldest_ != nullptr;
            if (has_replaced_) side_ = oldest_->was_empty[0] ? 0 : 1;
        }
        while (unused) unused = std::move(unused->next);
    }

    struct Replaced {
        std::unique_ptr<const Table> table;
        std::unique_ptr<Replaced> next;
        bool was_empty[2] = {false, false}; ///< each side, at some moment since
    };

    std::atomic<std::size_t> side_{0}; ///< where new publishers are counted
    std::array<std::atomic<std::size_t>, 2> readers_{};
    std::mutex mutex_; ///< guards the following members
    std::unique_ptr<const Table> table_ = std::make_unique<const Table>();
    std::atomic<const Table*> current_{table_.get()};
    /// The first of a chain, which is destroyed in this order. A std::list would be 1,400 lines to compile.
    std::unique_ptr<Replaced> oldest_;
    Replaced* newest_ = nullptr; ///< if there is an oldest one
    std::atomic<bool> has_replaced_{false};
};

/// Ends when it is destroyed.
class SnapshotSignal::Connection {
public:
    Connection() = default;
    Connection(Connection&&) noexcept = default;
    Connection& operator=(Connection&& other) noexcept
    {
        if (this == &other) return *this;
        disconnect();
        subscribers_ = std::move(other.subscribers_);
        subscriber_ = std::move(other.subscriber_);
        return *this;
    }
    ~Connection() { disconnect(); }

    void disconnect() noexcept
    {
        const auto subscriber = std::move(subscriber_);
        const auto subscribers = std::exchange(subscribers_, {}).lock();
        if (subscriber && subscribers) subscribers->remove(*subscriber);
    }

private:
    friend SnapshotSignal;

    Connection(std::weak_ptr<Subscribers> subscribers, std::shared_ptr<Subscriber> subscriber) noexcept
        : subscribers_{std::move(subscribers)}, subscriber_{std::move(subscriber)}
    {
    }

    std::weak_ptr<Subscribers> subscribers_;
    std::shared_ptr<Subscriber> subscriber_;
};

template <class Handler>
SnapshotSignal::Slot SnapshotSignal::slot(Handler handler)
{
    return Slot{std::move(handler)};
}

template <class Handler, class Owner>
SnapshotSignal::Slot SnapshotSignal::slot(Handler handler, const std::shared_ptr<Owner>& owner)
{
    return Slot{std::move(handler), owner};
}

inline SnapshotSignal::Connection SnapshotSignal::connect(int group, Slot slot)
{
    auto subscriber = std::make_shared<Subscriber>(group, std::move(slot));
    subscribers_->add(subscriber);
    return Connection{subscribers_, std::move(subscriber)};
}

inline void SnapshotSignal::connect_tracked(int group, Slot slot)
{
    subscribers_->add(std::make_shared<Subscriber>(group, std::move(slot)));
}

inline Failures SnapshotSignal::operator()(const PublishedEvent& event) const
{
    Failures failures;
    bool some_are_dead = false;
    const Subscribers::Reader reader{*subscribers_};
    for (const auto& subscriber : reader.table()) {
        if (!subscriber->is_connected) continue;
        try {
            if (!subscriber->slot(event)) some_are_dead = true;
        } catch (...) {
            add_current_exception(failures);
        }
    }
    if (some_are_dead) [[unlikely]]
        subscribers_->remove_dead();
    return failures;
}

} // namespace detail

/// An event bus without Boost.Signals2, with the same promises: publishing takes no lock, and costs a fifth.
class SnapshotEventBus : public BasicEventBus<detail::SnapshotSignal> {};

} // namespace escqrs::inline v0
