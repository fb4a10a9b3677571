// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: this aggregate has no public constructor from its id; add to it: explicit Item(const Id& id) : AggregateRoot{id} {}
#include <escqrs/commands/repository.hpp>
#include <escqrs/in_memory/event_store.hpp>

struct DoorOpened {
    static constexpr std::string_view event_name = "DoorOpened";
    template <class Archive>
    void serialize(Archive&, unsigned /*version*/)
    {
    }
};

class Door : public escqrs::AggregateRoot<Door, DoorOpened> {
public:
    static constexpr std::string_view category = "door";

#ifdef OFFENDING
    Door(const Id& id, int /*number*/) : AggregateRoot{id} {}
#else
    explicit Door(const Id& id) : AggregateRoot{id} {}
#endif

    void apply(const DoorOpened&) {}
};

int main()
{
    escqrs::in_memory::EventStore store;
    const escqrs::Repository<Door, escqrs::in_memory::EventStore> doors{store};
    doors.find(Door::Id{});
}
