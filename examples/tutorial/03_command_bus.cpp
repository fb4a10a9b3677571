// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// A command bus: each command goes to its one handler, through the middleware that all of them share. A command with an
// id has its effect once, however often it is sent.
#include "desk.hpp"

#include <escqrs/in_memory/event_store.hpp>

#include <exception>
#include <iostream>

using namespace lending;

struct BurnBook {};

int main()
{
    escqrs::in_memory::EventStore store;
    const escqrs::Repository<Book, escqrs::in_memory::EventStore> books{store};

    escqrs::CommandBus bus;
    open_desk(bus, books);
    bus.use([](const escqrs::CommandInfo& command, escqrs::FunctionRef<void()> next) {
        try {
            next();
            std::cout << command.name << " from " << command.metadata.actor << ": done\n";
        } catch (const std::exception& error) {
            std::cout << command.name << " from " << command.metadata.actor << ": " << error.what() << '\n';
            throw;
        }
    });

    const auto dune = Book::Id::parse("00000000-0000-4000-8000-000000000001");
    escqrs::Metadata metadata;
    metadata.actor = "the front desk";
    bus.send(AcquireBook{dune, "Dune"}, metadata);

    // The answer is lost on its way, so the command is sent again.
    metadata.command_id = escqrs::CommandId::parse("00000000-0000-4000-8000-0000000000c1");
    const auto first = bus.send(LendBook{dune, "Ada"}, metadata);
    const auto again = bus.send(LendBook{dune, "Ada"}, metadata);
    std::cout << "the same answer: " << std::boolalpha << (first == again) << ", at version " << again.version.value()
              << '\n';

    // Another command is another matter.
    metadata.command_id = escqrs::CommandId::parse("00000000-0000-4000-8000-0000000000c2");
    try {
        bus.send(LendBook{dune, "Bob"}, metadata);
    } catch (const Refused&) {
        std::cout << "the rule that refused it reaches the sender as it was thrown\n";
    }

    try {
        bus.send(BurnBook{}, metadata);
    } catch (const escqrs::HandlerNotFound&) {
        std::cout << "BurnBook has no handler, and the sender gets an error\n";
    }
}
