// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: this class is described, but inherits a serialize that leaves its own fields out: give it a serialize, or describe the base instead
// Expected: DoorOpened
#include <escqrs/codec/codec.hpp>
#include <escqrs/codec/describe.hpp>

#include "door.hpp"

struct DoorOpened : Door {
    static constexpr std::string_view event_name = "DoorOpened";
    int by = 0;
    BOOST_DESCRIBE_CLASS(DoorOpened, (Door), (by), (), ())
};

int main()
{
    const escqrs::Codec<escqrs::EventList<DoorOpened>> codec;
    std::vector<std::byte> bytes;
    codec.encode(DoorOpened{}, bytes);
    codec.decode({"DoorOpened", 0, codec.content_type, bytes});
}
