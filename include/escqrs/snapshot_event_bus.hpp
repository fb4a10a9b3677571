// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/basic_event_bus.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace escqrs {

namespace detail {

/// The subscribers of one type of event, in a table that is replaced as a whole when they change: calling them takes no lock.
///
/// A table that was replaced is kept while somebody may still be going through it. Whoever goes through one is counted before
/// reading which is the current one; so if nobody is counted after a table was replaced, nobody has it, and nobody will.
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
    using Table = std::vector<std::shared_ptr<Subscriber>>; ///< by group, and within it in order of connection

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

    void operator()(const PublishedEvent& event) const
    {
        if (!has_owner_) return handler_(event);
        if (const std::shared_ptr<void> owner = owner_.lock()) handler_(event);
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
    /// Somebody who goes through the table.
    class Reader {
    public:
        explicit Reader(Subscribers& subscribers) noexcept : subscribers_{&subscribers}
        {
            ++subscribers.readers_;
            table_ = subscribers.current_.load(); // NOLINT(cppcoreguidelines-prefer-member-initializer): once counted
        }
        Reader(const Reader&) = delete;
        Reader& operator=(const Reader&) = delete;
        ~Reader()
        {
            if (--subscribers_->readers_ == 0 && subscribers_->has_replaced_) subscribers_->discard_replaced();
        }

        const Table& table() const noexcept { return *table_; }

    private:
        Subscribers* subscribers_;
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
        replaced_.reserve(replaced_.size() + 1);
        current_ = next.get();
        replaced_.push_back(std::exchange(table_, std::move(next)));
        has_replaced_ = true;
    }

    /// Destroys what nobody goes through any more. Without the lock, for what handlers have captured may do anything.
    void discard_replaced()
    {
        std::vector<std::unique_ptr<const Table>> unused;
        const std::scoped_lock lock{mutex_};
        if (readers_ != 0) return; // the last of them will do it
        has_replaced_ = false;
        unused.swap(replaced_);
    }

    std::atomic<std::size_t> readers_{0};
    std::mutex mutex_; ///< of what follows
    std::unique_ptr<const Table> table_ = std::make_unique<const Table>();
    std::atomic<const Table*> current_{table_.get()};
    std::vector<std::unique_ptr<const Table>> replaced_;
    std::atomic<bool> has_replaced_{false};
};

/// Ends when it is destroyed.
class SnapshotSignal::Connection {
public:
    Connection() = default;
    Connection(Connection&&) noexcept = default;
    Connection& operator=(Connection&& other) noexcept
    {
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
    const Subscribers::Reader reader{*subscribers_};
    for (const auto& subscriber : reader.table()) {
        if (!subscriber->is_connected) continue;
        try {
            subscriber->slot(event);
        } catch (...) {
            add_current_exception(failures);
        }
    }
    return failures;
}

} // namespace detail

/// An event bus without Boost.Signals2: publishing takes no lock, and costs a fifth. It promises the same.
class SnapshotEventBus : public BasicEventBus<detail::SnapshotSignal> {};

} // namespace escqrs
