// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: decide() returned something that is not an event of the decider's Events
#include <escqrs/domain/decider.hpp>

struct DoorOpened {
    static constexpr std::string_view event_name = "DoorOpened";
};

struct DoorClosed {
    static constexpr std::string_view event_name = "DoorClosed";
};

struct Door {
    static constexpr std::string_view category = "door";
    struct State {};
    using Events = escqrs::EventList<DoorOpened>;
    struct Open {};

    static State initial() { return {}; }
#ifdef OFFENDING
    static DoorClosed decide(const Open&, const State&) { return {}; }
#else
    static DoorOpened decide(const Open&, const State&) { return {}; }
#endif
    static State evolve(State state, const DoorOpened&) { return state; }
};

int main() { escqrs::Decided<Door>{escqrs::DeciderId<Door>{}}.decide(Door::Open{}); }
