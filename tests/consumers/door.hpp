// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/escqrs.hpp>

#include <string>
#include <string_view>

struct DoorOpened {
    static constexpr std::string_view event_name = "DoorOpened";

    std::string by;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("by", by);
    }
};

class Door : public escqrs::AggregateRoot<Door, DoorOpened> {
public:
    static constexpr std::string_view category = "door";

    explicit Door(const Id& id) : AggregateRoot{id} {}

    void open(std::string_view by) { raise(DoorOpened{std::string{by}}); }
    const std::string& last_opened_by() const noexcept { return last_opened_by_; }

private:
    friend escqrs::Access;

    void apply(const DoorOpened& event) { last_opened_by_ = event.by; }

    std::string last_opened_by_;
};

/// Whether a door that was stored in `store` comes back as it was.
template <escqrs::EventStore Store>
bool remembers_a_door(Store& store)
{
    const escqrs::Repository<Door, Store> doors{store};
    Door door{Door::Id{escqrs::random_uuid()}};
    door.open("Ann");
    door.open("Bob");
    doors.save(door);
    const Door again = doors.get(door.id());
    return again.version() == escqrs::StreamVersion{2} && again.last_opened_by() == "Bob";
}
