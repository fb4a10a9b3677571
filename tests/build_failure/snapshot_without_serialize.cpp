// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: an aggregate that names a snapshot_version has a serialize(Archive&, unsigned) of its state
#include <escqrs/commands/repository.hpp>
#include <escqrs/in_memory/event_store.hpp>

struct DoorOpened {
    static constexpr std::string_view event_name = "DoorOpened";

    template <class Archive>
    void serialize(Archive&, unsigned)
    {
    }
};

class Door : public escqrs::AggregateRoot<Door, DoorOpened> {
public:
    static constexpr std::string_view category = "door";
    static constexpr unsigned snapshot_version = 1;

    explicit Door(const Id& id) : AggregateRoot{id} {}

private:
    friend escqrs::Access;

    void apply(const DoorOpened&) { ++openings_; }
#ifndef OFFENDING
    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("openings", openings_);
    }
#endif

    int openings_ = 0;
};

int main()
{
    escqrs::in_memory::EventStore store;
    const escqrs::Repository<Door, escqrs::in_memory::EventStore> doors{store};
    (void)doors.find(Door::Id{});
}
