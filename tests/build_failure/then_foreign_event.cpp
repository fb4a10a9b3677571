// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: a test speaks of something that is not an event of the aggregate or decider under test
#include <escqrs/testing/given_when_then.hpp>

struct DoorOpened {
    static constexpr std::string_view event_name = "DoorOpened";
};

struct WindowOpened {
    static constexpr std::string_view event_name = "WindowOpened";
};

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
    door.when(&Door::open).then(WindowOpened{});
#else
    door.when(&Door::open).then(DoorOpened{});
#endif
}
