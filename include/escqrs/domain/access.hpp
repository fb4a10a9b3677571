// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

namespace escqrs::inline v0 {

/// Reaches what an aggregate keeps private: write `friend escqrs::Access;` to keep `apply` private.
///
/// Used by the library only.
class Access {
public:
    /// True if the aggregate has an `apply` for this event that this class may call.
    template <class Aggregate, class Event>
    static constexpr bool can_apply = requires(Aggregate& aggregate, const Event& event) { aggregate.apply(event); };

    /// Calls the aggregate's own `apply`, for an event that was just raised or is replayed.
    template <class Aggregate, class Event>
    static void apply(Aggregate& aggregate, const Event& event)
    {
        aggregate.apply(event);
    }

    /// Applies a stored event.
    template <class Aggregate, class Event>
    static void replay(Aggregate& aggregate, const Event& event)
    {
        aggregate.replay(event);
    }

    /// Empties the uncommitted events, which a store has taken up to `version` and `position`.
    template <class Aggregate, class Version, class Position>
    static void mark_committed(Aggregate& aggregate, Version version, Position position) noexcept
    {
        aggregate.mark_committed(version, position);
    }

    /// True if the aggregate has a `serialize` that this class may call: snapshots need one.
    template <class Aggregate, class Archive>
    static constexpr bool can_serialize =
        requires(Aggregate& aggregate, Archive& archive) { aggregate.serialize(archive, 0U); };

    /// Writes or reads an aggregate's state.
    template <class Aggregate, class Archive>
    static void serialize(Aggregate& aggregate, Archive& archive, unsigned version)
    {
        aggregate.serialize(archive, version);
    }

    /// The events since the aggregate's snapshot, or since its beginning.
    template <class Aggregate>
    static auto& since_snapshot(Aggregate& aggregate) noexcept
    {
        return aggregate.since_snapshot_;
    }

    /// The version at which the aggregate was loaded.
    template <class Aggregate>
    static auto& loaded(Aggregate& aggregate) noexcept
    {
        return aggregate.loaded_;
    }

    /// Ids of the uncommitted events, kept with them so that a repeated save repeats the same ids.
    template <class Aggregate>
    static auto& uncommitted_ids(Aggregate& aggregate) noexcept
    {
        return aggregate.uncommitted_ids_;
    }
};

} // namespace escqrs::inline v0
