// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: the Id of this decider is neither an escqrs::Id nor an escqrs::TextId
#include <escqrs/domain/decider.hpp>

#include <string>
#include <string_view>

struct DoorOpened {
    static constexpr std::string_view event_name = "DoorOpened";
};

struct Door {
    static constexpr std::string_view category = "door";
#ifdef OFFENDING
    using Id = std::string;
#else
    using Id = escqrs::TextId<Door>;
#endif
    using State = int;
    using Events = escqrs::EventList<DoorOpened>;

    static State initial() { return 0; }
    static State evolve(State state, const DoorOpened&) { return state; }
};

int main() { return escqrs::Decided<Door>{Door::Id{"front"}}.state(); }
