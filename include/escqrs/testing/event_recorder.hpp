// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/events/event_bus.hpp>
#include <escqrs/testing/expectation_failed.hpp>
#include <escqrs/testing/expected_events.hpp>

#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace escqrs::inline v0::testing {

template <class List>
class EventRecorder;

/// Records what is published on a real bus, as long as it lives:
/// `EventRecorder<Attendee::EventTypes> recorder{bus};`
///
/// It records only the names of events that are not in the list.
/// @par Thread safety  events may be published from any thread, also while the recorder is read or destroyed
template <class... Events>
class EventRecorder<EventList<Events...>> {
public:
    using Types = EventList<Events...>;    ///< the events that are recorded whole
    using Event = std::variant<Events...>; ///< one of them

    /// @param bus  may end before the recorder
    explicit EventRecorder(EventBus& bus) : state_{std::make_shared<State>()}
    {
        (connections_.push_back(
             bus.subscribe<Events>([state = state_](const Events& event, const EventContext& context) {
                 const std::scoped_lock lock{state->mutex};
                 state->events.emplace_back(event);
                 state->contexts.push_back(context);
             })),
         ...);
        connections_.push_back(bus.subscribe_to_all([state = state_](const PublishedEvent& event) {
            const std::scoped_lock lock{state->mutex};
            state->names.emplace_back(event.name);
        }));
    }

    /// The events of one type, in order of publishing.
    template <class E>
    std::vector<E> events() const
    {
        static_assert(Types::template contains<E>, "escqrs: this recorder was not given the event E in its EventList");
        const std::scoped_lock lock{state_->mutex};
        std::vector<E> found;
        for (const auto& event : state_->events) {
            if (const auto* const typed = std::get_if<E>(&event)) found.push_back(*typed);
        }
        return found;
    }

    /// The events of all types of the list, in order of publishing.
    std::vector<Event> events() const
    {
        const std::scoped_lock lock{state_->mutex};
        return state_->events;
    }

    /// The contexts of those events.
    std::vector<EventContext> contexts() const
    {
        const std::scoped_lock lock{state_->mutex};
        return state_->contexts;
    }

    /// Names of all events, also of those that are not in the list.
    std::vector<std::string> names() const
    {
        const std::scoped_lock lock{state_->mutex};
        return state_->names;
    }

    /// Forgets what was published so far.
    void clear()
    {
        const std::scoped_lock lock{state_->mutex};
        state_->events.clear();
        state_->contexts.clear();
        state_->names.clear();
    }

    /// Expects that these events of the list, and no others, were published. Takes events, and what `ignoring`, `where`
    /// and `any` return.
    /// @throws ExpectationFailed with the difference
    template <class... Expected>
    void then(const Expected&... expected) const
    {
        detail::require_events<Types, Expected...>();
        const auto found = events();
        const auto text = detail::compare_events(std::span<const Event>{found}, expected...);
        if (!text.empty()) throw ExpectationFailed{text};
    }

private:
    /// Shared with the subscribers, one of which may still run when the recorder is destroyed.
    struct State {
        mutable std::mutex mutex;
        std::vector<Event> events;
        std::vector<EventContext> contexts;
        std::vector<std::string> names;
    };

    std::shared_ptr<State> state_;
    std::vector<EventBus::Connection> connections_;
};

} // namespace escqrs::inline v0::testing
