// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/error.hpp>
#include <escqrs/core/metadata.hpp>
#include <escqrs/core/type_identity.hpp>
#include <escqrs/domain/event.hpp>

#include <atomic>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace escqrs::inline v0 {

namespace detail {

/// What subscribers threw; null if they threw nothing, which is cheap to check.
using Failures = std::unique_ptr<std::vector<std::exception_ptr>>;

/// To be called while an exception is being handled.
[[gnu::cold, gnu::noinline]] inline void add_current_exception(Failures& failures)
{
    if (failures == nullptr) failures = std::make_unique<std::vector<std::exception_ptr>>();
    failures->push_back(std::current_exception());
}

} // namespace detail

/// An event on the bus with its type erased; `subscribe<E>` restores the type.
struct PublishedEvent {
    std::string_view name;       ///< of the event type
    const void* event;           ///< of the type that the publisher gave
    const EventContext& context; ///< as it was published
};

/// Place of a subscriber among the others: lower groups come first. The default is group 0.
struct SubscriberGroup {
    /// May be negative.
    explicit constexpr SubscriberGroup(int number) noexcept : value{number} {}

    int value; ///< the number of the group
};

/// Brings each event to any number of subscribers, in the publisher's thread, one after the other.
///
/// Subscribers are called by group, and within a group in order of subscription, those to every type among those to the
/// event's own type. A subscriber that throws does not keep the others from the event; all failures reach the publisher
/// as one `EventDispatchError`.
///
/// A subscriber may publish (also the same type of event), subscribe and disconnect from inside a call. A nested
/// publish ends before the outer one continues. A handler that is subscribed while an event is under way does not get
/// that event, nor does one that is disconnected before its turn.
///
/// `EventBus` and `SnapshotEventBus` are such buses; they differ in `Signal`, which holds the subscribers of one type
/// of event: `Signal::slot(handler)` and `Signal::slot(handler, owner)` make a `Signal::Slot`, `connect(group, slot)`
/// gives a `Signal::Connection` (`connect_tracked(group, slot)` none, for one with an owner), and `signal(event)` calls
/// them all, and returns the `detail::Failures`.
/// @par Thread safety  every operation may be called from any thread; subscribers are called in the publisher's,
///                     several at once if several threads publish
template <class Signal>
class BasicEventBus {
public:
    /// Ends its subscription in its destructor or in `disconnect()`, from any thread, also while an event is under way.
    ///
    /// No call begins after that. One that another thread has begun may still be running: what it uses must outlive it,
    /// or be tied to an owner.
    class Connection {
    public:
        Connection() = default;

        /// Ends the subscription now; does nothing if it has ended.
        void disconnect() noexcept
        {
            to_one_.disconnect();
            to_all_.reset();
        }

    private:
        friend BasicEventBus;

        explicit Connection(typename Signal::Connection to_one) noexcept : to_one_{std::move(to_one)} {}
        explicit Connection(std::shared_ptr<void> to_all) noexcept : to_all_{std::move(to_all)} {}

        typename Signal::Connection to_one_; ///< to the signal of one type of event
        std::shared_ptr<void> to_all_;       ///< owner of a subscription to every type
    };

    BasicEventBus() = default;
    BasicEventBus(const BasicEventBus&) = delete;
    BasicEventBus& operator=(const BasicEventBus&) = delete;

    /// Subscribes `handler(const E&, const EventContext&)` or `handler(const E&)` for as long as the connection lives.
    template <class E, class Handler>
    [[nodiscard]] Connection subscribe(SubscriberGroup group, Handler handler)
    {
        return Connection{signal_of<E>().connect(group.value, Signal::slot(adapt<E>(std::move(handler))))};
    }

    /// The same in group 0.
    template <class E, class Handler>
    [[nodiscard]] Connection subscribe(Handler handler)
    {
        return subscribe<E>(SubscriberGroup{0}, std::move(handler));
    }

    /// Subscribes for as long as `owner` lives. While the handler runs, `owner` is kept alive, so its destructor may
    /// run in the publisher's thread.
    template <class E, class Owner, class Handler>
    void subscribe(const std::shared_ptr<Owner>& owner, SubscriberGroup group, Handler handler)
    {
        signal_of<E>().connect_tracked(group.value, Signal::slot(adapt<E>(std::move(handler)), owner));
    }

    /// The same in group 0.
    template <class E, class Owner, class Handler>
    void subscribe(const std::shared_ptr<Owner>& owner, Handler handler)
    {
        subscribe<E>(owner, SubscriberGroup{0}, std::move(handler));
    }

    /// Subscribes `handler(const PublishedEvent&)` to events of every type, for as long as the connection lives.
    template <class Handler>
    [[nodiscard]] Connection subscribe_to_all(SubscriberGroup group, Handler handler)
    {
        auto connection = std::make_shared<char>();
        subscribe_to_all(connection, group, std::move(handler));
        return Connection{std::move(connection)};
    }

    /// The same in group 0.
    template <class Handler>
    [[nodiscard]] Connection subscribe_to_all(Handler handler)
    {
        return subscribe_to_all(SubscriberGroup{0}, std::move(handler));
    }

    /// The same for as long as `owner` lives, as above.
    template <class Owner, class Handler>
    void subscribe_to_all(const std::shared_ptr<Owner>& owner, SubscriberGroup group, Handler handler);

    /// The same in group 0.
    template <class Owner, class Handler>
    void subscribe_to_all(const std::shared_ptr<Owner>& owner, Handler handler)
    {
        subscribe_to_all(owner, SubscriberGroup{0}, std::move(handler));
    }

    /// Calls every subscriber with the event, which is neither copied nor moved.
    /// @throws EventDispatchError if subscribers failed; the others have received the event
    template <class E>
    void publish(const E& event, const EventContext& context);

private:
    using Signals = detail::TypeTable<Signal*>;

    struct SubscriberToAll {
        std::weak_ptr<void> owner;
        SubscriberGroup group;
        typename Signal::Slot slot;
    };

    template <class E, class Handler>
    static auto adapt(Handler handler);

    template <class E>
    Signal& signal_of()
    {
        const detail::TypeIdentity& type = detail::type_identity<E>();
        Signal* const known = find_signal(type);
        return known != nullptr ? *known : create_signal(type);
    }

    Signal* find_signal(const detail::TypeIdentity& type) const noexcept
    {
        const Signals* const signals = signals_.load(std::memory_order_acquire);
        if (signals == nullptr) return nullptr;
        Signal* const* const found = signals->find(type);
        return found != nullptr ? *found : nullptr;
    }

    Signal& create_signal(const detail::TypeIdentity& type);
    void add_to_all(SubscriberToAll subscriber);

    /// By type of event. A new type replaces the whole table, so that publishing takes none of our locks; the old
    /// tables are kept, because a publisher may still be reading one, and there are few.
    std::atomic<const Signals*> signals_{nullptr};
    /// Handlers have subscribed to every type, so a type without subscribers needs a signal, too.
    std::atomic<bool> is_heard_by_all_{false};
    std::mutex mutex_; ///< guards the following members
    std::vector<std::unique_ptr<const Signals>> tables_;
    std::vector<std::unique_ptr<Signal>> owned_;
    std::vector<SubscriberToAll> to_all_; ///< connected to each new signal
};

namespace detail {

[[noreturn]] inline void raise_dispatch_error(std::string_view event, std::vector<std::exception_ptr> failures)
{
    std::string text = std::to_string(failures.size()) + " subscriber(s) of event '" + std::string{event} + "' failed";
    for (const auto& failure : failures) {
        try {
            std::rethrow_exception(failure);
        } catch (const std::exception& error) {
            text.append("; ").append(error.what());
        } catch (...) {
            text.append("; something that is not a std::exception");
        }
    }
    throw EventDispatchError{text, std::move(failures)};
}

} // namespace detail

template <class Signal>
template <class E, class Handler>
auto BasicEventBus<Signal>::adapt(Handler handler)
{
    constexpr bool with_context = std::is_invocable_v<Handler&, const E&, const EventContext&>;
    static_assert(with_context || std::is_invocable_v<Handler&, const E&>,
                  "escqrs: an event subscriber is called with (const E&, const EventContext&) or (const E&)");
    return [handler = std::move(handler)](const PublishedEvent& published) mutable {
        const E& event = *static_cast<const E*>(published.event);
        if constexpr (with_context) handler(event, published.context);
        else handler(event);
    };
}

template <class Signal>
template <class Owner, class Handler>
void BasicEventBus<Signal>::subscribe_to_all(const std::shared_ptr<Owner>& owner, SubscriberGroup group,
                                             Handler handler)
{
    // Shared, because each signal keeps a copy of the slot.
    const auto shared = std::make_shared<Handler>(std::move(handler));
    add_to_all({owner, group, Signal::slot([shared](const PublishedEvent& event) { (*shared)(event); }, owner)});
}

template <class Signal>
template <class E>
void BasicEventBus<Signal>::publish(const E& event, const EventContext& context)
{
    Signal* signal = find_signal(detail::type_identity<E>());
    if (signal == nullptr) {
        if (!is_heard_by_all_.load(std::memory_order_acquire)) return;
        signal = &signal_of<E>();
    }
    const PublishedEvent published{event_name<E>(), &event, context};
    const detail::Failures failures = (*signal)(published);
    if (failures != nullptr) detail::raise_dispatch_error(published.name, std::move(*failures));
}

template <class Signal>
void BasicEventBus<Signal>::add_to_all(SubscriberToAll subscriber)
{
    const std::scoped_lock lock{mutex_};
    std::erase_if(to_all_, [](const SubscriberToAll& other) { return other.owner.expired(); });
    for (const auto& signal : owned_) signal->connect_tracked(subscriber.group.value, subscriber.slot);
    to_all_.push_back(std::move(subscriber));
    is_heard_by_all_.store(true, std::memory_order_release);
}

template <class Signal>
Signal& BasicEventBus<Signal>::create_signal(const detail::TypeIdentity& type)
{
    const std::scoped_lock lock{mutex_};
    if (auto* const known = find_signal(type)) return *known;
    const Signals* const current = signals_.load(std::memory_order_relaxed);
    auto next = current != nullptr ? std::make_unique<Signals>(*current) : std::make_unique<Signals>();
    auto created = std::make_unique<Signal>();
    for (const SubscriberToAll& subscriber : to_all_) created->connect_tracked(subscriber.group.value, subscriber.slot);
    owned_.push_back(std::move(created));
    Signal& signal = *owned_.back();
    (*next)[type] = &signal;
    tables_.push_back(std::move(next));
    signals_.store(tables_.back().get(), std::memory_order_release);
    return signal;
}

} // namespace escqrs::inline v0
