// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: raise() was given an event that is not listed in this AggregateRoot<Derived, Events...>
#include <escqrs/domain/aggregate_root.hpp>

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

    void open()
    {
#ifdef OFFENDING
        raise(WindowOpened{});
#else
        raise(DoorOpened{});
#endif
    }

private:
    friend escqrs::Access;

    void apply(const DoorOpened&) {}
};

int main() { Door{Door::Id{}}.open(); }
