// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: a pointer cannot be stored; store the value itself, a std::optional of it, or an id; archive::BoostText and archive::BoostXml store what Boost.Serialization does, pointers among it
#include <escqrs/codec/codec.hpp>

#include <memory>
#include <optional>

struct DoorOpened {
    static constexpr std::string_view event_name = "DoorOpened";
#ifdef OFFENDING
    std::shared_ptr<int> turns;
#else
    std::optional<int> turns;
#endif

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("turns", turns);
    }
};

int main()
{
    const escqrs::Codec<escqrs::EventList<DoorOpened>> codec;
    std::vector<std::byte> bytes;
    codec.encode(DoorOpened{}, bytes);
}
