// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: commands are ordered by an escqrs::Id, a StreamId, a text or a whole number
#include <escqrs/commands/dispatcher/command_dispatcher.hpp>

#include <functional>

struct OpenDoor {
    using Result = void;
#ifdef OFFENDING
    double door = 0;
#else
    int door = 0;
#endif
};

int main()
{
    const escqrs::CommandBus bus;
    escqrs::CommandDispatcher dispatcher{bus, [](const std::function<void()>& task) { task(); }};
    dispatcher.in_order_by(&OpenDoor::door);
}
