// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "door.hpp"

#include <escqrs/in_memory/event_store.hpp>

int main()
{
    escqrs::in_memory::EventStore store;
    return remembers_a_door(store) ? 0 : 1;
}
