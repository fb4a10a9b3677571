// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: this decider has no static State evolve(State, const E&) for an event E of its Events; add it
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
    using Events = escqrs::EventList<DoorOpened, DoorClosed>;
    struct Open {};

    static State initial() { return {}; }
    static DoorOpened decide(const Open&, const State&) { return {}; }
    static State evolve(State state, const DoorOpened&) { return state; }
#ifndef OFFENDING
    static State evolve(State state, const DoorClosed&) { return state; }
#endif
};

int main() { escqrs::Decided<Door>{escqrs::DeciderId<Door>{}}.decide(Door::Open{}); }
