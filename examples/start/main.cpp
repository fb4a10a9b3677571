// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "item.hpp"

#include <escqrs/commands/repository.hpp>
#include <escqrs/sqlite/event_store.hpp>

#include <iostream>

int main()
{
    escqrs::sqlite::EventStore store{"stock.db"};
    const escqrs::Repository<Item, escqrs::sqlite::EventStore> items{store};
    const Item::Id bolt{"BOLT-M6"};

    Item item = items.find(bolt).value_or(Item{bolt}); // stored, or new
    item.receive(10);
    items.save(item);

    items.execute(bolt, [](Item& bolts) { bolts.ship(4, "Ada"); }); // loads, decides, saves
    std::cout << items.get(bolt).in_stock() << " in stock\n";
}
