// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// A repository over a store in memory: aggregates are saved as their events and loaded by applying them again. Of two
// people who change what they both have seen, the second one gets a conflict.
#include "book.hpp"

#include <escqrs/commands/repository.hpp>
#include <escqrs/in_memory/event_store.hpp>

#include <iostream>

using namespace lending;

int main()
{
    escqrs::in_memory::EventStore store;
    const escqrs::Repository<Book, escqrs::in_memory::EventStore> books{store};
    const auto id = Book::Id::parse("00000000-0000-4000-8000-000000000001");

    Book acquired = Book::acquire(id, "Dune");
    acquired.lend_to("Ada");
    const auto saved = books.save(acquired);
    std::cout << saved.stream.text() << " is at version " << saved.version.value() << '\n';

    // Both desks see the book at version 2.
    Book at_front_desk = books.get(id);
    Book at_back_door = books.get(id);
    std::cout << at_front_desk.title() << " is with " << at_front_desk.reader() << '\n';

    at_front_desk.take_back();
    books.save(at_front_desk);
    at_back_door.take_back();
    try {
        books.save(at_back_door);
    } catch (const escqrs::ConcurrencyError& conflict) {
        std::cout << "conflict: expected " << to_string(conflict.expected()) << ", found version "
                  << conflict.actual().value() << '\n';
    }

    // execute loads, decides and saves, and does so again after a conflict.
    const auto lent = books.execute(id, [](Book& book) { book.lend_to("Bob"); });
    std::cout << "lent to Bob at version " << lent.version.value() << '\n';

    const auto unknown = Book::Id::parse("00000000-0000-4000-8000-000000000002");
    std::cout << "another book: " << (books.find(unknown) ? "found" : "none") << '\n';
}
