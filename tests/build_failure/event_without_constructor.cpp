// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: this event has no public default constructor; give it one: an event that is read is made first and filled by its serialize then
// Expected: DoorPainted
#include <escqrs/codec/codec.hpp>

#include <string>

struct DoorPainted {
    static constexpr std::string_view event_name = "DoorPainted";

    explicit DoorPainted(std::string given) : colour{std::move(given)} {}
#ifndef OFFENDING
    DoorPainted() = default;
#endif

    std::string colour;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("colour", colour);
    }
};

int main()
{
    const escqrs::Codec<escqrs::EventList<DoorPainted>> codec;
    std::vector<std::byte> bytes;
    codec.encode(DoorPainted{"red"}, bytes);
}
