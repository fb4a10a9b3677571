// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/error_base.hpp>
#include <escqrs/core/identifiers.hpp>
#include <escqrs/core/text_id.hpp>
#include <escqrs/domain/event.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace escqrs::inline v0 {

namespace detail {

/// A number of stored events and of the bytes of their contents.
struct HistorySize {
    std::uint64_t events = 0;
    std::uint64_t bytes = 0;
    bool is_anothers_to_keep = false; ///< the snapshot is a newer program's
};

/// True for as long as it lives.
class Flagged {
public:
    explicit Flagged(bool& flag) noexcept : flag_{flag} { flag = true; }
    Flagged(const Flagged&) = delete;
    Flagged& operator=(const Flagged&) = delete;
    ~Flagged() { flag_ = false; }

private:
    bool& flag_;
};

/// What an `AggregateRoot<Derived, Named...>` names: its events and, before them, perhaps the type of its id.
template <class Derived, class... Events>
struct RootTypes {
    using Id = escqrs::Id<Derived>;
    using Event = std::variant<typename EventOf<Events>::Type...>;
    using EventTypes = EventList<typename EventOf<Events>::Type...>;
};
template <class Derived, class Named, class... Events>
    requires is_id<Named>
struct RootTypes<Derived, Named, Events...> : RootTypes<Derived, Events...> {
    using Id = Named;
};

template <class Tag>
inline constexpr bool changes_state<Id<Tag>> = false;
template <class Tag>
inline constexpr bool changes_state<TextId<Tag>> = false;

[[noreturn]] inline void refuse_raise_in_constructor(std::string_view category)
{
    throw Error{"aggregate '" + std::string{category} +
                "' raises an event in its constructor from an id, where it would happen anew at each load"};
}

[[noreturn]] inline void refuse_raise_in_apply(std::string_view event)
{
    throw Error{"event '" + std::string{event} +
                "' was raised inside apply, where it would happen anew at each load; raise it in the behaviour that "
                "decides"};
}

} // namespace detail

/// Base of an event-sourced aggregate: identity, version, and the events raised but not yet stored.
///
/// `Derived` names its category (`static constexpr std::string_view category = "attendee";`), has a constructor from
/// its id, an `apply(const E&)` for every listed event, and public behaviour that decides and calls `raise`. State
/// changes only in `apply`, so that replaying the events rebuilds the state; the constructor from an id and `apply`
/// raise nothing. Dispatch is resolved at compile time.
///
/// Ids are UUIDs, of type `escqrs::Id<Derived>`, unless the list begins with another type of id. Texts, for example, are
/// the ids of `class Item : public escqrs::AggregateRoot<Item, escqrs::TextId<Item>, ItemReceived>`.
/// @par Thread safety  none: one thread at a time
template <class Derived, class... Events>
class AggregateRoot {
public:
    /// The id type that the list begins with; `escqrs::Id<Derived>` if it begins with none.
    using Id = typename detail::RootTypes<Derived, Events...>::Id;
    /// A `std::variant` of the events, in the order of the list.
    using Event = typename detail::RootTypes<Derived, Events...>::Event;
    /// The events as an `EventList`, in which `NoStateChange<E>` is `E`.
    using EventTypes = typename detail::RootTypes<Derived, Events...>::EventTypes;

    const Id& id() const noexcept { return id_; } ///< given at construction

    /// Version of the last stored event this aggregate has seen; uncommitted events do not count.
    StreamVersion version() const noexcept { return version_; }

    /// Log position of that event; 0 for an aggregate that was never stored.
    GlobalPosition position() const noexcept { return position_; }

    /// Events raised since the last load or save, oldest first.
    std::span<const Event> uncommitted_events() const noexcept { return uncommitted_; }

protected:
    /// An aggregate that has no events yet, at version 0.
    explicit AggregateRoot(const Id& id) : id_{id} { (require_apply<Events>(), ...); }
    ~AggregateRoot() = default;
    AggregateRoot(const AggregateRoot&) = default;
    AggregateRoot(AggregateRoot&&) noexcept = default;
    AggregateRoot& operator=(const AggregateRoot&) = default;
    AggregateRoot& operator=(AggregateRoot&&) noexcept = default;

    /// Applies an event and records it for the next save. If `apply` throws, nothing is recorded.
    /// @param event  may be one of the uncommitted events, or part of the aggregate's state
    /// @throws Error if called inside `apply`
    template <class E>
    void raise(E&& event)
    {
        using Raised = std::remove_cvref_t<E>;
        static_assert(
            EventTypes::template contains<Raised>,
            "escqrs: raise() was given an event that is not listed in this AggregateRoot<Derived, Events...>");
        if (is_applying_) detail::refuse_raise_in_apply(event_name<Raised>());
        if (uncommitted_.empty()) uncommitted_.reserve(2);
        // Recorded first: `apply` may change what `event` refers to.
        const Event& recorded = uncommitted_.emplace_back(std::in_place_type<Raised>, std::forward<E>(event));
        try {
            replay(*std::get_if<Raised>(&recorded));
        } catch (...) {
            uncommitted_.pop_back();
            throw;
        }
    }

private:
    friend Access;

    template <class E>
    void replay(const E& event)
    {
        // A NoStateChange<E> in the list is not E itself.
        if constexpr ((std::is_same_v<E, Events> || ...) && Access::can_apply<Derived, E>) {
            const detail::Flagged applying{is_applying_};
            Access::apply(static_cast<Derived&>(*this), event);
        }
    }

    template <class E>
    static constexpr void require_apply() noexcept
    {
        if constexpr (detail::changes_state<E>) {
            static_assert(
                Access::can_apply<Derived, E>,
                "escqrs: the aggregate has no apply(const E&) for one of its listed events E; add it, list the event "
                "as escqrs::NoStateChange<E>, or, if apply is private, add to the aggregate: friend escqrs::Access;");
        }
    }

    void mark_committed(StreamVersion version, GlobalPosition position) noexcept
    {
        version_ = version;
        position_ = position;
        uncommitted_.clear();
        uncommitted_ids_.clear();
    }

    Id id_;
    StreamVersion version_;
    GlobalPosition position_;
    /// This object stored the later events, up to `version_`.
    StreamVersion loaded_;
    std::vector<Event> uncommitted_;
    std::vector<EventId> uncommitted_ids_;
    detail::HistorySize since_snapshot_;
    bool is_applying_ = false;
};

} // namespace escqrs::inline v0
