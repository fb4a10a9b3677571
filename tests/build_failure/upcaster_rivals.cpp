// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: two upcasters (or Renames) start from one event name and schema version
#include <escqrs/codec/codec.hpp>
#include <escqrs/codec/upcasting.hpp>

struct DoorOpenedV0 {
    static constexpr std::string_view event_name = "DoorOpened";

    void serialize(auto& archive, unsigned /*version*/) { archive & escqrs::field("room", room); }

    int room = 0;
};

struct GateOpened {
    static constexpr std::string_view event_name = "DoorOpened";

    void serialize(auto& archive, unsigned /*version*/) { archive & escqrs::field("room", room); }

    int room = 0;
};

struct DoorOpened {
    static constexpr std::string_view event_name = "DoorOpened";
    static constexpr unsigned schema_version = 1;

    void serialize(auto& archive, unsigned /*version*/) { archive & escqrs::field("room", room); }

    int room = 0;
};

DoorOpened from_door(const DoorOpenedV0& old) { return {old.room}; }
DoorOpened from_gate(const GateOpened& old) { return {old.room}; }

#ifndef OFFENDING
using Doors = escqrs::Evolution<escqrs::EventList<DoorOpened>, escqrs::Upcast<from_door>>;
#else
using Doors = escqrs::Evolution<escqrs::EventList<DoorOpened>, escqrs::Upcast<from_door>, escqrs::Upcast<from_gate>>;
#endif

int main() { return escqrs::Codec<Doors>::knows("DoorOpened") ? 0 : 1; }
