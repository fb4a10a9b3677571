// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: this type cannot be stored; its serialize has another signature than template <class Archive> void serialize(Archive& archive, unsigned version)
// Expected: Lock
#include <escqrs/codec/codec.hpp>

struct Lock {
    int turns = 0;

    template <class Archive>
#ifdef OFFENDING
    void serialize(Archive& archive)
#else
    void serialize(Archive& archive, unsigned /*version*/)
#endif
    {
        archive & turns;
    }
};

struct DoorOpened {
    static constexpr std::string_view event_name = "DoorOpened";
    Lock lock;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("lock", lock);
    }
};

int main()
{
    const escqrs::Codec<escqrs::EventList<DoorOpened>> codec;
    std::vector<std::byte> bytes;
    codec.encode(DoorOpened{}, bytes);
    codec.decode({"DoorOpened", 0, codec.content_type, bytes});
}
