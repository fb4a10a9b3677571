// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: the Events of this aggregate are not those of its AggregateRoot<Derived, Events...>
#include <escqrs/codec/upcasting.hpp>
#include <escqrs/commands/repository.hpp>
#include <escqrs/in_memory/event_store.hpp>

struct DoorOpened {
    static constexpr std::string_view event_name = "DoorOpened";
    template <class Archive>
    void serialize(Archive&, unsigned /*version*/)
    {
    }
};

struct DoorClosed {
    static constexpr std::string_view event_name = "DoorClosed";
    template <class Archive>
    void serialize(Archive&, unsigned /*version*/)
    {
    }
};

class Door : public escqrs::AggregateRoot<Door, DoorOpened, DoorClosed> {
public:
    static constexpr std::string_view category = "door";
#ifdef OFFENDING
    using Events = escqrs::Evolution<escqrs::EventList<DoorOpened>, escqrs::Rename<"Opened", DoorOpened>>;
#else
    using Events = escqrs::Evolution<EventTypes, escqrs::Rename<"Opened", DoorOpened>>;
#endif

    explicit Door(const Id& id) : AggregateRoot{id} {}

    void apply(const DoorOpened&) {}
    void apply(const DoorClosed&) {}
};

int main()
{
    escqrs::in_memory::EventStore store;
    const escqrs::Repository<Door, escqrs::in_memory::EventStore> doors{store};
}
