// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: two events of this list have the same name (event_name); names must be unique
#include <escqrs/domain/decider.hpp>

struct DoorOpened {
    static constexpr std::string_view event_name = "DoorOpened";
};

struct DoorClosed {
#ifdef OFFENDING
    static constexpr std::string_view event_name = "DoorOpened";
#else
    static constexpr std::string_view event_name = "DoorClosed";
#endif
};

struct Door {
    static constexpr std::string_view category = "door";
    struct State {};
    using Events = escqrs::EventList<DoorOpened>;

    static State initial() { return {}; }
    static State evolve(State state, const DoorOpened&) { return state; }
};

struct Latch {
    static constexpr std::string_view category = "latch";
    struct State {};
    using Events = escqrs::EventList<DoorClosed>;

    static State initial() { return {}; }
    static State evolve(State state, const DoorClosed&) { return state; }
};

struct House : escqrs::Compose<Door, Latch> {
    static constexpr std::string_view category = "house";
};

int main() { const escqrs::Decided<House> house{escqrs::DeciderId<House>{}}; }
