// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: upcasters lead in a circle
#include <escqrs/codec/codec.hpp>
#include <escqrs/codec/upcasting.hpp>

struct DoorOpened {
    static constexpr std::string_view event_name = "DoorOpened";

    void serialize(auto& archive, unsigned /*version*/) { archive & escqrs::field("room", room); }

    int room = 0;
};

struct GateOpened {
    static constexpr std::string_view event_name = "GateOpened";

    void serialize(auto& archive, unsigned /*version*/) { archive & escqrs::field("room", room); }

    int room = 0;
};

struct PortalOpened {
    static constexpr std::string_view event_name = "PortalOpened";

    void serialize(auto& archive, unsigned /*version*/) { archive & escqrs::field("room", room); }

    int room = 0;
};

PortalOpened to_portal(const GateOpened& old) { return {old.room}; }
#ifndef OFFENDING
DoorOpened onwards(const PortalOpened& old) { return {old.room}; }
#else
GateOpened onwards(const PortalOpened& old) { return {old.room}; }
#endif

using Doors = escqrs::Evolution<escqrs::EventList<DoorOpened>, escqrs::Upcast<to_portal>, escqrs::Upcast<onwards>>;

int main() { return escqrs::Codec<Doors>::knows("DoorOpened") ? 0 : 1; }
