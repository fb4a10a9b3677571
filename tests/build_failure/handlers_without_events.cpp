// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: this type does not say which events it has; add to it: using Events = escqrs::EventList<...>;
#include <escqrs/in_memory/checkpoint.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/projections/projection.hpp>

struct DoorOpened {
    static constexpr std::string_view event_name = "DoorOpened";
    template <class Archive>
    void serialize(Archive&, unsigned /*version*/)
    {
    }
};

struct Doors {
#ifndef OFFENDING
    using Events = escqrs::EventList<DoorOpened>;
#endif
    void handle(const DoorOpened&, const escqrs::EventContext&) {}
    void clear() {}
};

int main()
{
    escqrs::in_memory::EventStore store;
    escqrs::in_memory::Checkpoint place;
    Doors doors;
    escqrs::Projection projection{store, place, doors};
    projection.catch_up();
}
