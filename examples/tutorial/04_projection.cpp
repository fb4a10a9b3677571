// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// A projection reads the log from its checkpoint onwards and hands each event to an event bus, where any number of
// subscribers listen: here a catalogue, and a bell that rings when a book comes back.
#include "catalogue.hpp"
#include "desk.hpp"

#include <escqrs/in_memory/checkpoint.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/projections/projection.hpp>

#include <iostream>

using namespace lending;

namespace {

/// What the projection calls for every event, in the order of the log.
struct Announcer {
    using Events = Book::EventTypes;

    template <class E>
    void handle(const E& event, const escqrs::EventContext& context)
    {
        bus.publish(event, context);
    }

    void clear() { catalogue.clear(); }

    escqrs::EventBus& bus;
    Catalogue& catalogue;
};

} // namespace

int main()
{
    escqrs::in_memory::EventStore store;
    const escqrs::Repository<Book, escqrs::in_memory::EventStore> books{store};
    escqrs::CommandBus desk;
    open_desk(desk, books);

    escqrs::EventBus events;
    Catalogue catalogue{events};
    const auto bell = events.subscribe<BookReturned>([](const BookReturned& event, const auto& context) {
        if (!context.is_replay) std::cout << "the bell rings: thank you, " << event.reader << '\n';
    });

    escqrs::in_memory::Checkpoint checkpoint;
    Announcer announcer{events, catalogue};
    escqrs::Projection projection{store, checkpoint, announcer};

    const auto dune = Book::Id::parse("00000000-0000-4000-8000-000000000001");
    const auto emma = Book::Id::parse("00000000-0000-4000-8000-000000000002");
    desk.send(AcquireBook{dune, "Dune"});
    desk.send(AcquireBook{emma, "Emma"});
    desk.send(LendBook{dune, "Ada"});
    auto reached = projection.catch_up();
    std::cout << "at position " << reached.value() << ":\n" << catalogue;

    desk.send(ReturnBook{dune});
    desk.send(LendBook{emma, "Bob"});
    reached = projection.catch_up(); // continues where it was
    std::cout << "at position " << reached.value() << ":\n" << catalogue;

    projection.restart(); // a new column, a fixed handler: build it all again
    std::cout << "emptied:\n" << catalogue;
    reached = projection.catch_up(); // nothing rings: these events were handled before
    std::cout << "rebuilt up to position " << reached.value() << ":\n" << catalogue;
}
