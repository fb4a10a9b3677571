// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: these handlers list an event for which they have no handle(const E&, const escqrs::EventContext&)
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

struct DoorClosed {
    static constexpr std::string_view event_name = "DoorClosed";
    template <class Archive>
    void serialize(Archive&, unsigned /*version*/)
    {
    }
};

struct Doors {
#ifdef OFFENDING
    using Events = escqrs::EventList<DoorOpened, DoorClosed>;
#else
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
