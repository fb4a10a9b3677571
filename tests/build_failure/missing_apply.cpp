// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: the aggregate has no apply(const E&) for one of its listed events E; add it
#include <escqrs/domain/aggregate_root.hpp>

struct DoorOpened {
    static constexpr std::string_view event_name = "DoorOpened";
};

struct DoorClosed {
    static constexpr std::string_view event_name = "DoorClosed";
};

class Door : public escqrs::AggregateRoot<Door, DoorOpened, DoorClosed> {
public:
    static constexpr std::string_view category = "door";

    explicit Door(const Id& id) : AggregateRoot{id} {}

private:
    friend escqrs::Access;

    void apply(const DoorOpened&) {}
#ifndef OFFENDING
    void apply(const DoorClosed&) {}
#endif
};

int main() { const Door door{Door::Id{}}; }
