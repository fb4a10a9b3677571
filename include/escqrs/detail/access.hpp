// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace escqrs {

/// Reaches what an aggregate keeps private: write `friend escqrs::Access;` to keep `apply` private.
///
/// Used by the library only.
class Access {
public:
    template <class Aggregate, class Event>
    static constexpr bool can_apply = requires(Aggregate& aggregate, const Event& event) { aggregate.apply(event); };

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

    template <class Aggregate, class Version, class Position>
    static void mark_committed(Aggregate& aggregate, Version version, Position position) noexcept
    {
        aggregate.mark_committed(version, position);
    }

    /// Ids of the uncommitted events, kept with them so that a repeated save repeats the same ids.
    template <class Aggregate>
    static auto& uncommitted_ids(Aggregate& aggregate) noexcept
    {
        return aggregate.uncommitted_ids_;
    }
};

} // namespace escqrs
