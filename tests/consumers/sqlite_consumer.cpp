// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "door.hpp"

#include <escqrs/sqlite/event_store.hpp>

int main()
{
    escqrs::sqlite::EventStore store{"consumer.db"};
    return remembers_a_door(store) ? 0 : 1;
}
