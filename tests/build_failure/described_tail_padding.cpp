// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: this class is described, but inherits a serialize that leaves its own fields out: give it a serialize, or describe the base instead
// Expected: DoorOpened
#include <escqrs/codec/codec.hpp>
#include <escqrs/codec/describe.hpp>

/// Has space for another int in its last bytes, so that the derived class is no larger.
class Door {
public:
    std::string room;
    int door() const { return door_; }

#ifdef OFFENDING
    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("room", room) & escqrs::field("door", door_);
    }
#endif

private:
    int door_ = 0;
#ifndef OFFENDING
    BOOST_DESCRIBE_CLASS(Door, (), (room), (), (door_))
#endif
};

struct DoorOpened : Door {
    static constexpr std::string_view event_name = "DoorOpened";
    int by = 0;
    BOOST_DESCRIBE_CLASS(DoorOpened, (Door), (by), (), ())
};
static_assert(sizeof(DoorOpened) == sizeof(Door));

int main()
{
    const escqrs::Codec<escqrs::EventList<DoorOpened>> codec;
    std::vector<std::byte> bytes;
    codec.encode(DoorOpened{}, bytes);
    codec.decode({"DoorOpened", 0, codec.content_type, bytes});
}
