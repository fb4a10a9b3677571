// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: two events of this list have the same name (event_name); names must be unique
#include <escqrs/domain/event.hpp>

struct DoorOpened {
    static constexpr std::string_view event_name = "DoorOpened";
};

struct DoorClosed {
#ifdef OFFENDING
    static constexpr std::string_view event_name = "DoorOpened";
#else
    static constexpr std::string_view event_name = "DoorClosed";
#endif
};

constexpr std::size_t listed = escqrs::EventList<DoorOpened, DoorClosed>::size;

int main() { return listed == 2 ? 0 : 1; }
