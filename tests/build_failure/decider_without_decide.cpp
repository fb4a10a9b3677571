// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: this decider has no static decide(const Command&, const State&) for this command
#include <escqrs/domain/decider.hpp>

struct DoorOpened {
    static constexpr std::string_view event_name = "DoorOpened";
};

struct DoorClosed {
    static constexpr std::string_view event_name = "DoorClosed";
};

struct Close {};

struct Door {
    static constexpr std::string_view category = "door";
    struct State {};
    using Events = escqrs::EventList<DoorOpened, DoorClosed>;
    struct Open {};

    static State initial() { return {}; }
    static DoorOpened decide(const Open&, const State&) { return {}; }
    static State evolve(State state, const DoorOpened&) { return state; }
    static State evolve(State state, const DoorClosed&) { return state; }
};

int main()
{
    escqrs::Decided<Door> door{escqrs::DeciderId<Door>{}};
#ifdef OFFENDING
    door.decide(Close{});
#else
    door.decide(Door::Open{});
#endif
}
