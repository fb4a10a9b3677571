// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// Deciders: the same domain as values and pure functions. The same repository and command bus serve them, and two of them
// make a third.
#include "lending_decider.hpp"

#include <escqrs/commands/decider_handler.hpp>
#include <escqrs/in_memory/event_store.hpp>

#include <iostream>

using namespace lending;

int main()
{
    // Pure functions on values need no library to be called.
    const auto shelved = Lending::evolve(Lending::initial(), BookAcquired{"Dune"});
    std::cout << Lending::decide(Lend{{}, "Ada"}, shelved).reader << " may have " << shelved.title << '\n';

    // A repository keeps them as it keeps aggregates; commands find the stream by the id they carry.
    escqrs::in_memory::EventStore store;
    const escqrs::Repository<escqrs::Decided<Lending>, escqrs::in_memory::EventStore> lendings{store};
    escqrs::CommandBus bus;
    bus.handle(escqrs::decided_by(lendings, &Acquire::copy), escqrs::decided_by(lendings, &Lend::copy),
               escqrs::decided_by(lendings, &TakeBack::copy));

    const auto dune = CopyId::parse("00000000-0000-4000-8000-000000000001");
    bus.send(Acquire{dune, "Dune"}); // the stream does not exist yet: it begins in the initial state
    const auto lent = bus.send(Lend{dune, "Ada"});
    std::cout << lent.stream.text() << " is at version " << lent.version.value() << '\n';
    try {
        bus.send(Lend{dune, "Bob"});
    } catch (const Refused& refusal) {
        std::cout << "refused: " << refusal.what() << '\n';
    }
    bus.send(TakeBack{dune});
    const auto again = bus.send(TakeBack{dune});
    std::cout << "taken back twice, still at version " << again.version.value() << '\n';

    // Two deciders, one stream; the commands of both, as they are.
    const escqrs::Repository<escqrs::Decided<Copy>, escqrs::in_memory::EventStore> copies{store};
    escqrs::CommandBus desk;
    desk.handle(escqrs::decided_by(copies, &Acquire::copy), escqrs::decided_by(copies, &Lend::copy),
                escqrs::decided_by(copies, &QueueUp::copy));
    const auto emma = escqrs::DeciderId<Copy>::parse("00000000-0000-4000-8000-000000000002");
    desk.send(Acquire{CopyId{emma.value()}, "Emma"});
    desk.send(Lend{CopyId{emma.value()}, "Ada"});
    const auto queued = desk.send(QueueUp{CopyId{emma.value()}, "Bob"});
    const auto copy = copies.get(emma);
    std::cout << queued.stream.text() << ": with " << Copy::state_of<Lending>(copy.state()).reader << ", "
              << Copy::state_of<Waiting>(copy.state()).size() << " waiting, " << copy.version().value() << " events\n";
}
