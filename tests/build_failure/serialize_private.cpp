// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: this type cannot be stored; its serialize is private: make it public
// Expected: Lock
#include <escqrs/codec/codec.hpp>

struct Lock {
    int turns = 0;

#ifdef OFFENDING
private:
#endif
    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
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
