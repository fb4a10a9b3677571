// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: this class is described, and stored field by field: include <escqrs/codec/describe.hpp>
// Expected: DoorOpened
#include <escqrs/codec/codec.hpp>
#ifndef OFFENDING
#include <escqrs/codec/describe.hpp>
#endif

#include <boost/describe/class.hpp>

struct DoorOpened {
    static constexpr std::string_view event_name = "DoorOpened";
    int door = 0;
    BOOST_DESCRIBE_CLASS(DoorOpened, (), (door), (), ())
};

int main()
{
    const escqrs::Codec<escqrs::EventList<DoorOpened>> codec;
    std::vector<std::byte> bytes;
    codec.encode(DoorOpened{}, bytes);
    codec.decode({"DoorOpened", 0, codec.content_type, bytes});
}
