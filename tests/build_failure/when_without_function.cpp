// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: when() takes a function of the aggregate: [](Attendee& attendee) { ... }
#include <escqrs/testing/given_when_then.hpp>

struct DoorOpened {
    static constexpr std::string_view event_name = "DoorOpened";
};

struct Open {};

class Door : public escqrs::AggregateRoot<Door, DoorOpened> {
public:
    static constexpr std::string_view category = "door";

    explicit Door(const Id& id) : AggregateRoot{id} {}

    void open() { raise(DoorOpened{}); }

private:
    friend escqrs::Access;

    void apply(const DoorOpened&) {}
};

int main()
{
    const auto door = escqrs::testing::given<Door>();
#ifdef OFFENDING
    door.when(Open{}).then(DoorOpened{});
#else
    door.when(&Door::open).then(DoorOpened{});
#endif
}
