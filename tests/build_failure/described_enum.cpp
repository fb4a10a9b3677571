// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: this enumeration is described, so it is stored by name: include <escqrs/codec/describe.hpp>
// Expected: Wing
#include <escqrs/codec/codec.hpp>
#ifndef OFFENDING
#include <escqrs/codec/describe.hpp>
#endif

#include <boost/describe/enum.hpp>

enum class Wing { left, right };
BOOST_DESCRIBE_ENUM(Wing, left, right)

struct DoorOpened {
    static constexpr std::string_view event_name = "DoorOpened";
    Wing wing = Wing::left;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("wing", wing);
    }
};

int main()
{
    const escqrs::Codec<escqrs::EventList<DoorOpened>> codec;
    std::vector<std::byte> bytes;
    codec.encode(DoorOpened{}, bytes);
    codec.decode({"DoorOpened", 0, codec.content_type, bytes});
}
