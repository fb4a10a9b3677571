// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: when() takes a function of the aggregate by reference, [](Item& item) { ... }; what it does to a copy would be lost
#include <escqrs/domain/aggregate_root.hpp>
#include <escqrs/testing/given_when_then.hpp>

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

int main()
{
    using namespace escqrs::testing;
    given<Door>().when(&Door::open).then(DoorOpened{});
#ifdef OFFENDING
    given<Door>().when([](Door door) { door.open(); }).then(DoorOpened{});
#else
    given<Door>().when([](Door& door) { door.open(); }).then(DoorOpened{});
#endif
}
