// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: there is a schema version that nothing reads
#include <escqrs/codec/codec.hpp>
#include <escqrs/codec/upcasting.hpp>

#ifndef OFFENDING
constexpr unsigned oldest = 1;
#else
constexpr unsigned oldest = 2; // and version 1 is read by none
#endif

struct DoorOpenedV0 {
    static constexpr std::string_view event_name = "DoorOpened";

    void serialize(auto& archive, unsigned /*version*/) { archive & escqrs::field("room", room); }

    int room = 0;
};

struct DoorOpened {
    static constexpr std::string_view event_name = "DoorOpened";
    static constexpr unsigned schema_version = 2;
    static constexpr unsigned oldest_schema_version = oldest;

    void serialize(auto& archive, unsigned /*version*/) { archive & escqrs::field("room", room); }

    int room = 0;
};

DoorOpened upcast(const DoorOpenedV0& old) { return {old.room}; }

using Doors = escqrs::Evolution<escqrs::EventList<DoorOpened>, escqrs::Upcast<upcast>>;

int main() { return escqrs::Codec<Doors>::knows("DoorOpened") ? 0 : 1; }
