// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: this is a repository of another store; name the store's type, Repository<Item, Store>, or hand in an AnyEventStore
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

    explicit Door(const Id& id) : AggregateRoot{id} {}

    void apply(const DoorOpened&) {}
};

int main()
{
    escqrs::in_memory::EventStore store;
#ifdef OFFENDING
    const escqrs::Repository<Door> doors{store};
#else
    const escqrs::Repository<Door, escqrs::in_memory::EventStore> doors{store};
    escqrs::AnyEventStore any{std::make_shared<escqrs::in_memory::EventStore>()};
    const escqrs::Repository<Door> others{any};
#endif
}
