// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/codec/codec.hpp>
#include <escqrs/core/error.hpp>
#include <escqrs/core/metadata.hpp>
#include <escqrs/store/event_store.hpp>

#include <concepts>
#include <exception>
#include <new>
#include <type_traits>
#include <utility>

namespace escqrs::inline v0 {

namespace detail {

/// @return false if the visitor wants no more
template <class E, class Visitor>
bool visit_event(const E& event, const RecordedEvent& recorded, unsigned part, Visitor& visit, bool& is_visiting)
{
    const auto call = [&](const auto&... arguments) {
        is_visiting = true;
        if constexpr (std::same_as<decltype(visit(arguments...)), bool>) return visit(arguments...);
        else {
            visit(arguments...);
            return true;
        }
    };
    if constexpr (std::is_invocable_v<Visitor&, const E&, const EventContext&>) {
        EventContext context = context_of(recorded);
        context.part = part;
        return call(event, context);
    } else {
        static_assert(std::is_invocable_v<Visitor&, const E&>,
                      "escqrs: this visitor takes no const E& for an event E of the list that is read");
        return call(event);
    }
}

} // namespace detail

/// Calls `visit(event)`, or `visit(event, context)` if it takes an `EventContext`, for each event of a stream, in order;
/// never if there is no such stream. A visitor that returns false wants no more.
/// ```
/// escqrs::read_events<Book>(store, stream, [](const auto& event) { ... });
/// ```
/// @tparam Events  an `EventList` or an `Evolution`, or the aggregate, decider or handlers that name one: events of
///                 older shapes are upcast
/// @throws HydrationError for an event that cannot be read, or is not of the list; what `visit` throws
/// @par Complexity  linear in the length of the stream, which is read page by page
template <class Events, EventStore Store, class Visitor>
void read_events(Store& store, const StreamId& stream, Visitor&& visit)
{
    const CodecOf<Events> codec;
    typename CodecOf<Events>::Scratch scratch;
    store.read_stream(stream, StreamVersion{1}, [&](const RecordedEvent& recorded) {
        bool wants_more = true;
        bool is_visiting = false;
        unsigned part = 0;
        try {
            codec.decode(encoded(recorded), scratch, [&](const auto& event) {
                if (!wants_more) return;
                wants_more = detail::visit_event(event, recorded, part++, visit, is_visiting);
                is_visiting = false;
            });
        } catch (const std::bad_alloc&) {
            throw; // the event is not at fault
        } catch (const std::exception& cause) {
            if (is_visiting) throw;
            std::throw_with_nested(HydrationError{recorded.stream, recorded.version, recorded.position, cause.what()});
        }
        return wants_more;
    });
}

/// What the events of a stream make of `initial`, each by `step(state, event)`, which returns the next state; `initial`
/// itself if there is no such stream.
/// ```
/// const int pieces = escqrs::fold<Item>(store, stream, 0, [](int sum, const auto& event) { ... });
/// ```
/// @tparam Events  as for `read_events`
/// @throws HydrationError for an event that cannot be read, or is not of the list; what `step` throws
template <class Events, EventStore Store, class State, class Step>
State fold(Store& store, const StreamId& stream, State initial, Step&& step)
{
    State state = std::move(initial);
    read_events<Events>(store, stream, [&]<class E>(const E& event) {
        constexpr bool is_step = std::is_invocable_r_v<State, Step&, State, const E&>;
        static_assert(is_step, "escqrs: the step of this fold takes no (State, const E&), or returns no State, for an "
                               "event E of the list that is read");
        if constexpr (is_step) state = step(std::move(state), event);
    });
    return state;
}

} // namespace escqrs::inline v0
