// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: two handlers for one command; a command has exactly one handler
#include <escqrs/commands/command_bus.hpp>

struct OpenDoor {
    using Result = void;
};

struct CloseDoor {
    using Result = void;
};

int main()
{
#ifdef OFFENDING
    using Second = OpenDoor;
#else
    using Second = CloseDoor;
#endif
    escqrs::CommandBus bus;
    bus.handle(escqrs::on<OpenDoor>([](const OpenDoor&) {}), escqrs::on<Second>([](const Second&) {}));
}
