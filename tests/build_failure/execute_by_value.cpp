// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: execute() takes a function of the aggregate by reference, [](Item& item) { ... }; what it does to a copy would be lost
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

    void open() { raise(DoorOpened{}); }
    void apply(const DoorOpened&) {}
};

void open_it(Door& door) { door.open(); }

int main()
{
    escqrs::in_memory::EventStore store;
    const escqrs::Repository<Door, escqrs::in_memory::EventStore> doors{store};
    const Door::Id id{escqrs::random_uuid()};
#ifdef OFFENDING
    doors.execute_or_begin(id, [](Door door) { door.open(); });
#else
    doors.execute_or_begin(id, [](Door& door) { door.open(); });
#endif
    doors.execute_or_begin(id, open_it);
    doors.execute(id, [](auto& door) mutable noexcept { door.open(); });
    doors.execute(id, [](auto&& door) { door.open(); });
    doors.execute(id, [](const Door&) {});
}
