// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: this event has no name; add to it: static constexpr std::string_view event_name =
#include <escqrs/domain/event.hpp>

struct DoorOpened {
#ifndef OFFENDING
    static constexpr std::string_view event_name = "DoorOpened";
#endif
};

constexpr std::size_t listed = escqrs::EventList<DoorOpened>::size;

int main() { return listed == 1 ? 0 : 1; }
