// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: an upcaster or Rename leads to an event that is neither in the EventList
#include <escqrs/codec/codec.hpp>
#include <escqrs/codec/upcasting.hpp>

struct DoorOpenedV0 {
    static constexpr std::string_view event_name = "DoorOpened";

    void serialize(auto& archive, unsigned /*version*/) { archive & escqrs::field("room", room); }

    int room = 0;
};

struct DoorOpenedV1 {
    static constexpr std::string_view event_name = "DoorOpened";
    static constexpr unsigned schema_version = 1;

    void serialize(auto& archive, unsigned /*version*/) { archive & escqrs::field("room", room); }

    int room = 0;
};

struct DoorOpened {
    static constexpr std::string_view event_name = "DoorOpened";
    static constexpr unsigned schema_version = 2;

    void serialize(auto& archive, unsigned /*version*/) { archive & escqrs::field("room", room); }

    int room = 0;
};

DoorOpenedV1 first_step(const DoorOpenedV0& old) { return {old.room}; }
DoorOpened second_step(const DoorOpenedV1& old) { return {old.room}; }

#ifndef OFFENDING
using Doors = escqrs::Evolution<escqrs::EventList<DoorOpened>, escqrs::Upcast<first_step>, escqrs::Upcast<second_step>>;
#else
using Doors = escqrs::Evolution<escqrs::EventList<DoorOpened>, escqrs::Upcast<first_step>>;
#endif

int main() { return escqrs::Codec<Doors>::knows("DoorOpened") ? 0 : 1; }
