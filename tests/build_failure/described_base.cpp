// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: a base of this described class is not described; describe it as well
// Expected: Door
#include <escqrs/codec/codec.hpp>
#include <escqrs/codec/describe.hpp>

struct Door {
    int door = 0;
#ifndef OFFENDING
    BOOST_DESCRIBE_CLASS(Door, (), (door), (), ())
#endif
};

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
