// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/events/basic_event_bus.hpp>

#include <boost/signals2/connection.hpp>
#include <boost/signals2/signal.hpp>

#include <memory>
#include <utility>

namespace escqrs::inline v0 {

namespace detail {

/// Calls every subscriber, whatever the others throw, and returns what they threw.
struct CollectFailures {
    using result_type = Failures;

    template <class SlotIterator>
    result_type operator()(SlotIterator slot, SlotIterator end) const
    {
        result_type failures;
        for (; slot != end; ++slot) {
            try {
                (void)*slot;
            } catch (...) {
                add_current_exception(failures);
            }
        }
        return failures;
    }
};

/// The subscribers of one type of event, in a signal of Boost.Signals2.
class BoostSignal {
    /// What Signals2 asks slots to return; the results are the failures, so this carries nothing.
    struct Delivered {};

    /// The one signal signature of the library: each instantiation costs compile time.
    using Signal = boost::signals2::signal<Delivered(const PublishedEvent&), CollectFailures>;

public:
    using Connection = boost::signals2::scoped_connection;
    using Slot = Signal::slot_type;

    template <class Handler>
    static Slot slot(Handler handler)
    {
        return Slot{[handler = std::move(handler)](const PublishedEvent& event) mutable {
            handler(event);
            return Delivered{};
        }};
    }

    template <class Handler, class Owner>
    static Slot slot(Handler handler, const std::shared_ptr<Owner>& owner)
    {
        return slot(std::move(handler)).track_foreign(owner);
    }

    Connection connect(int group, const Slot& slot) { return signal_.connect(group, slot); }
    void connect_tracked(int group, const Slot& slot) { signal_.connect(group, slot); }

    Failures operator()(const PublishedEvent& event) const { return signal_(event); }

private:
    Signal signal_;
};

} // namespace detail

/// The event bus built on Boost.Signals2.
class EventBus : public BasicEventBus<detail::BoostSignal> {};

} // namespace escqrs::inline v0
