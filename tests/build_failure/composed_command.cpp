// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: two parts of this composition decide the same command; a command has one decider
#include <escqrs/domain/decider.hpp>

struct DoorOpened {
    static constexpr std::string_view event_name = "DoorOpened";
};

struct DoorClosed {
    static constexpr std::string_view event_name = "DoorClosed";
};

struct Open {};

struct Door {
    static constexpr std::string_view category = "door";
    struct State {};
    using Events = escqrs::EventList<DoorOpened>;

    static State initial() { return {}; }
    static DoorOpened decide(const Open&, const State&) { return {}; }
    static State evolve(State state, const DoorOpened&) { return state; }
};

struct Latch {
    static constexpr std::string_view category = "latch";
    struct State {};
    using Events = escqrs::EventList<DoorClosed>;

    static State initial() { return {}; }
#ifdef OFFENDING
    static DoorClosed decide(const Open&, const State&) { return {}; }
#endif
    static State evolve(State state, const DoorClosed&) { return state; }
};

struct House : escqrs::Compose<Door, Latch> {
    static constexpr std::string_view category = "house";
};

int main() { escqrs::Decided<House>{escqrs::DeciderId<House>{}}.decide(Open{}); }
