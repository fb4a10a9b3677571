// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: this command speaks of another decider
#include <escqrs/commands/decider_handler.hpp>

struct DoorOpened {
    static constexpr std::string_view event_name = "DoorOpened";

    template <class Archive>
    void serialize(Archive&, unsigned)
    {
    }
};

struct Door;
struct Window;

struct Open {
#ifdef OFFENDING
    escqrs::DeciderId<Window> id;
#else
    escqrs::DeciderId<Door> id;
#endif
};

struct Door {
    static constexpr std::string_view category = "door";
    struct State {};
    using Events = escqrs::EventList<DoorOpened>;

    static State initial() { return {}; }
    static DoorOpened decide(const Open&, const State&) { return {}; }
    static State evolve(State state, const DoorOpened&) { return state; }
};

void serve(const escqrs::Repository<escqrs::Decided<Door>>& doors, escqrs::CommandBus& bus)
{
    bus.handle(escqrs::decided_by(doors, &Open::id));
}
