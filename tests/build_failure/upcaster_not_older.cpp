// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: the source of an upcaster (or a Rename) is not older than the current event of its name
#include <escqrs/codec/codec.hpp>
#include <escqrs/codec/upcasting.hpp>

#ifndef OFFENDING
constexpr unsigned current = 1;
#else
constexpr unsigned current = 0;
#endif

struct DoorOpenedV0 {
    static constexpr std::string_view event_name = "DoorOpened";

    void serialize(auto& archive, unsigned /*version*/) { archive & escqrs::field("room", room); }

    int room = 0;
};

struct DoorOpened {
    static constexpr std::string_view event_name = "DoorOpened";
    static constexpr unsigned schema_version = current;

    void serialize(auto& archive, unsigned /*version*/) { archive & escqrs::field("room", room); }

    int room = 0;
};

DoorOpened upcast(const DoorOpenedV0& old) { return {old.room}; }

using Doors = escqrs::Evolution<escqrs::EventList<DoorOpened>, escqrs::Upcast<upcast>>;

int main() { return escqrs::Codec<Doors>::knows("DoorOpened") ? 0 : 1; }
