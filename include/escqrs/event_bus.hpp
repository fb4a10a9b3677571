// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/detail/type_index.hpp>
#include <escqrs/error.hpp>
#include <escqrs/event.hpp>
#include <escqrs/metadata.hpp>

#include <boost/signals2/connection.hpp>
#include <boost/signals2/signal.hpp>

#include <atomic>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace escqrs {

/// An event on the bus, its type erased; `subscribe<E>` gives it back its type.
struct PublishedEvent {
    std::string_view name;
    const void* event;
    const EventContext& context;
};

namespace detail {

/// Calls every subscriber, whatever the others throw, and returns what they threw.
struct CollectFailures {
    using result_type = std::vector<std::exception_ptr>;

    template <class SlotIterator>
    result_type operator()(SlotIterator slot, SlotIterator end) const
    {
        result_type failures;
        for (; slot != end; ++slot) {
            try {
                (void)*slot;
            } catch (...) {
                failures.push_back(std::current_exception());
            }
        }
        return failures;
    }
};

/// What Signals2 asks slots to return; the results are the failures, so this carries nothing.
struct Delivered {};

/// The one signal signature of the library: each instantiation costs compile time.
using EventSignal = boost::signals2::signal<Delivered(const PublishedEvent&), CollectFailures>;

} // namespace detail

/// Brings each event to any number of subscribers, in the publisher's thread, in order of subscription.
///
/// Subscribers of one event type and those of every type are two groups; the typed ones come first. A subscriber that
/// throws does not keep the others from the event; all failures reach the publisher as one `EventDispatchError`.
/// A subscriber may publish, subscribe and disconnect from inside a call; who is subscribed while a publish runs does not
/// get that event.
/// @par Thread safety  every operation may be called from any thread; subscribers are called in the publisher's
class EventBus {
public:
    /// Ends its subscription when it is destroyed, also while an event is being published, also from another thread.
    using Connection = boost::signals2::scoped_connection;

    EventBus() = default;
    EventBus(const EventBus&) = delete;
    EventBus& operator=(const EventBus&) = delete;

    /// Subscribes `handler(const E&, const EventContext&)` or `handler(const E&)` for as long as the connection lives.
    template <class E, class Handler>
    [[nodiscard]] Connection subscribe(Handler handler)
    {
        return Connection{signal_of<E>().connect(adapt<E>(std::move(handler)))};
    }

    /// Subscribes for as long as `owner` lives; it is kept alive while the handler runs.
    template <class E, class Owner, class Handler>
    void subscribe(const std::shared_ptr<Owner>& owner, Handler handler)
    {
        signal_of<E>().connect(detail::EventSignal::slot_type{adapt<E>(std::move(handler))}.track_foreign(owner));
    }

    /// Subscribes `handler(const PublishedEvent&)` to events of every type.
    template <class Handler>
    [[nodiscard]] Connection subscribe_to_all(Handler handler)
    {
        return Connection{all_.connect([handler = std::move(handler)](const PublishedEvent& event) mutable {
            handler(event);
            return detail::Delivered{};
        })};
    }

    /// Hands the event to every subscriber. It is never copied.
    /// @throws EventDispatchError if subscribers failed; the others have received the event
    template <class E>
    void publish(const E& event, const EventContext& context);

private:
    struct Family;
    using Signals = std::vector<detail::EventSignal*>;

    template <class E, class Handler>
    static auto adapt(Handler handler);

    template <class E>
    detail::EventSignal& signal_of()
    {
        const std::size_t index = detail::type_index<Family, E>();
        detail::EventSignal* const known = find_signal(index);
        return known != nullptr ? *known : create_signal(index);
    }

    detail::EventSignal* find_signal(std::size_t index) const noexcept
    {
        const Signals* const signals = signals_.load(std::memory_order_acquire);
        return signals != nullptr && index < signals->size() ? (*signals)[index] : nullptr;
    }

    detail::EventSignal& create_signal(std::size_t index);

    /// By type index. Replaced as a whole when an event type is new, so that publishing needs no lock of ours; the old
    /// ones are kept, for somebody may be reading them, and there are few.
    std::atomic<const Signals*> signals_{nullptr};
    std::mutex mutex_;
    std::vector<std::unique_ptr<const Signals>> tables_;
    std::vector<std::unique_ptr<detail::EventSignal>> owned_;
    detail::EventSignal all_;
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

template <class E, class Handler>
auto EventBus::adapt(Handler handler)
{
    constexpr bool with_context = std::is_invocable_v<Handler&, const E&, const EventContext&>;
    static_assert(with_context || std::is_invocable_v<Handler&, const E&>,
                  "escqrs: an event subscriber is called with (const E&, const EventContext&) or (const E&)");
    return [handler = std::move(handler)](const PublishedEvent& published) mutable {
        const E& event = *static_cast<const E*>(published.event);
        if constexpr (with_context) handler(event, published.context);
        else handler(event);
        return detail::Delivered{};
    };
}

template <class E>
void EventBus::publish(const E& event, const EventContext& context)
{
    const PublishedEvent published{event_name<E>(), &event, context};
    std::vector<std::exception_ptr> failures;
    if (auto* const signal = find_signal(detail::type_index<Family, E>())) failures = (*signal)(published);
    if (!all_.empty()) {
        auto more = all_(published);
        failures.insert(failures.end(), more.begin(), more.end());
    }
    if (!failures.empty()) detail::raise_dispatch_error(published.name, std::move(failures));
}

inline detail::EventSignal& EventBus::create_signal(std::size_t index)
{
    const std::scoped_lock lock{mutex_};
    if (auto* const known = find_signal(index)) return *known;
    const Signals* const current = signals_.load(std::memory_order_relaxed);
    auto next = current != nullptr ? std::make_unique<Signals>(*current) : std::make_unique<Signals>();
    if (next->size() <= index) next->resize(index + 1, nullptr);
    owned_.push_back(std::make_unique<detail::EventSignal>());
    detail::EventSignal& signal = *owned_.back();
    (*next)[index] = &signal;
    tables_.push_back(std::move(next));
    signals_.store(tables_.back().get(), std::memory_order_release);
    return signal;
}

} // namespace escqrs
