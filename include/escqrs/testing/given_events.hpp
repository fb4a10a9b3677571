// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/metadata.hpp>
#include <escqrs/testing/detail/compare_values.hpp>
#include <escqrs/testing/detail/stored_form.hpp>
#include <escqrs/testing/expectation_failed.hpp>
#include <escqrs/testing/expected_events.hpp>
#include <escqrs/testing/sequential_ids.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <source_location>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace escqrs::inline v0::testing {

/// Between events: those that follow are of this stream.
struct InStream {
    StreamId stream; ///< of the events that follow
};

/// The events that follow are of the stream `category-<id number>`, with the ids of `SequentialIds`.
inline InStream in_stream(std::string_view category, std::uint64_t number = 1)
{
    return {StreamId{category, SequentialIds::nth(number)}};
}
/// The events that follow are of the stream `category-id`, for ids that are texts.
inline InStream in_stream(std::string_view category, std::string_view id) { return {StreamId{category, id}}; }
/// The events that follow are of this stream.
inline InStream in_stream(StreamId stream) { return {std::move(stream)}; }

namespace detail {

template <class T>
concept HistoryItem = HasEventName<T> || std::is_same_v<T, InStream>;

} // namespace detail

/// A read model that has handled its events, for `then`.
template <class ReadModel>
class Projected {
public:
    /// Made by `GivenEvents`; `read_model` must outlive this, and `history` tells what it has handled.
    Projected(ReadModel& read_model, std::vector<std::string> history)
        : read_model_{&read_model}, history_{std::move(history)}
    {
    }

    /// Expects `query(read_model)`, or `query()`, to return what is expected. The two are compared field by field if
    /// they can be stored, else by their `==`.
    /// @throws ExpectationFailed with the difference
    template <class Query, class Expected>
    const Projected& then(const Query& query, const Expected& expected,
                          std::source_location where = std::source_location::current()) const
    {
        const auto difference = [&] {
            if constexpr (std::is_invocable_v<const Query&, ReadModel&>) {
                const auto& found = std::invoke(query, *read_model_);
                return detail::compare_values(found, expected);
            } else {
                const auto& found = query();
                return detail::compare_values(found, expected);
            }
        }();
        if (difference.empty()) return *this;
        throw ExpectationFailed{difference + "\n" +
                                detail::numbered(history_.empty() ? "given nothing" : "given", history_) + "\n" +
                                detail::place_text(where)};
    }

private:
    ReadModel* read_model_;
    std::vector<std::string> history_;
};

/// Events of one or more streams, on their way to a read model.
///
/// Each has the context it would have in a store where nothing else was stored: versions count in its stream, positions
/// over all, from 1; ids are those of `SequentialIds`; event number n was recorded n seconds after
/// 2026-01-01T00:00:00Z.
/// @par Thread safety  none: one thread at a time
template <class... Items>
class GivenEvents {
public:
    /// Copies the items, in their order.
    explicit GivenEvents(const Items&... items) : items_{items...} {}

    /// Calls `handlers.handle(event, context)` for them, in order. Events of types that `Handlers::Events` does not
    /// list are skipped, as a `Projection` does.
    /// @param handlers  must outlive what is returned
    template <class Handlers>
    Projected<Handlers> projected_by(Handlers& handlers) const
    {
        return deliver(handlers, HandlersSink<Handlers>{handlers}, false);
    }

    /// Likewise, as events that were handled before: `is_replay` is set.
    template <class Handlers>
    Projected<Handlers> replayed_by(Handlers& handlers) const
    {
        return deliver(handlers, HandlersSink<Handlers>{handlers}, true);
    }

    /// Publishes them on a bus, to its subscribers. The query of `then` receives the bus, or has no parameter.
    template <class Bus>
    Projected<Bus> published_on(Bus& bus) const
    {
        return deliver(
            bus,
            [&](const auto& event, const EventContext& context) { bus.publish(detail::stored_form(event), context); },
            false);
    }

private:
    template <class Handlers>
    struct HandlersSink {
        Handlers& handlers;

        template <class E>
        void operator()(const E& event, const EventContext& context) const
        {
            static_assert(
                requires { typename Handlers::Events; },
                "escqrs: this read model does not say which events it handles; add to it: "
                "using Events = escqrs::EventList<...>;");
            if constexpr (requires { typename Handlers::Events; }) {
                if constexpr (CodecOf<Handlers>::template reads<E>) {
                    EventContext each = context;
                    detail::read_as_stored<CodecOf<Handlers>>(event, [&](const auto& current) {
                        show(current, each);
                        ++each.part;
                    });
                }
            }
        }

        template <class E>
        void show(const E& event, const EventContext& context) const
        {
            using Handled = typename escqrs::detail::ListOf<typename Handlers::Events>::Type;
            if constexpr (Handled::template contains<E>) handlers.handle(event, context);
        }
    };

    /// Place of the next event.
    struct Place {
        StreamId stream = in_stream("stream").stream;
        std::map<StreamId, StreamVersion> versions{};
        std::uint64_t position = 0;
        bool is_replay = false;

        EventContext next()
        {
            ++position;
            const auto version = versions[stream].next();
            versions[stream] = version;
            const auto time = std::chrono::sys_days{std::chrono::year{2026} / 1 / 1} + std::chrono::seconds{position};
            return {stream, version,  GlobalPosition{position}, EventId{SequentialIds::nth(position)}, Timestamp{time},
                    {},     is_replay};
        }
    };

    template <class Target, class Sink>
    Projected<Target> deliver(Target& target, const Sink& sink, bool is_replay) const
    {
        Place place{.is_replay = is_replay};
        std::vector<std::string> history;
        const auto next = [&](const auto& item) {
            if constexpr (std::is_same_v<std::remove_cvref_t<decltype(item)>, InStream>) place.stream = item.stream;
            else {
                history.push_back(place.stream.text() + ": " + describe(item));
                sink(item, place.next());
            }
        };
        std::apply([&](const auto&... items) { (next(items), ...); }, items_);
        return {target, std::move(history)};
    }

    std::tuple<Items...> items_;
};

/// What has happened, for a read model: `given(in_stream("book"), BookLent{"Ada"}).projected_by(catalogue)`.
template <detail::HistoryItem... Items>
    requires(sizeof...(Items) > 0)
GivenEvents<Items...> given(const Items&... items)
{
    return GivenEvents<Items...>{items...};
}

} // namespace escqrs::inline v0::testing
