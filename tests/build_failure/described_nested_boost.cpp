// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: this class is described, but inherits a serialize that leaves its own fields out: give it a serialize, or describe the base instead
// Expected: LockedDoor
#include <escqrs/codec/archive/boost_text.hpp>
#include <escqrs/codec/codec.hpp>
#include <escqrs/codec/describe.hpp>

#include "door.hpp"

struct LockedDoor : Door {
    int key = 0;
    BOOST_DESCRIBE_CLASS(LockedDoor, (Door), (key), (), ())
};

struct DoorOpened {
    LockedDoor which;
    ESCQRS_EVENT(DoorOpened, (which))
};

int main()
{
    const escqrs::Codec<escqrs::EventList<DoorOpened>, escqrs::archive::BoostText> codec;
    std::vector<std::byte> bytes;
    codec.encode(DoorOpened{}, bytes);
    codec.decode({"DoorOpened", 0, codec.content_type, bytes});
}
