// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: an upcaster is a function of one event
#include <escqrs/codec/codec.hpp>
#include <escqrs/codec/upcasting.hpp>

struct DoorOpenedV0 {
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

#ifndef OFFENDING
DoorOpened upcast(const DoorOpenedV0& old) { return {old.room}; }
#else
DoorOpened upcast(const DoorOpenedV0& old, int offset) { return {old.room + offset}; }
#endif

using Doors = escqrs::Evolution<escqrs::EventList<DoorOpened>, escqrs::Upcast<upcast>>;

int main() { return escqrs::Codec<Doors>::knows("DoorOpened") ? 0 : 1; }
