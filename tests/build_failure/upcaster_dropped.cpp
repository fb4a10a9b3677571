// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: Drop names an event that is read as well
#include <escqrs/codec/codec.hpp>
#include <escqrs/codec/upcasting.hpp>

struct DoorOpened {
    static constexpr std::string_view event_name = "DoorOpened";

    void serialize(auto& archive, unsigned /*version*/) { archive & escqrs::field("room", room); }

    int room = 0;
};

#ifndef OFFENDING
using Doors = escqrs::Evolution<escqrs::EventList<DoorOpened>, escqrs::Drop<"DoorPainted">>;
#else
using Doors = escqrs::Evolution<escqrs::EventList<DoorOpened>, escqrs::Drop<"DoorOpened">>;
#endif

int main() { return escqrs::Codec<Doors>::knows("DoorOpened") ? 0 : 1; }
