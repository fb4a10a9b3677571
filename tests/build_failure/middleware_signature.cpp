// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: a middleware is called with (const CommandInfo& command, NextHandler next), for commands of every type; command.as<Command>() is the command itself, or null if it is another one
#include <escqrs/commands/command_bus.hpp>

struct Open {
    using Result = int;
};

int main()
{
    escqrs::CommandBus bus;
#ifdef OFFENDING
    bus.use([](const Open&, auto next) { next(); });
#else
    bus.use([](const escqrs::CommandInfo&, auto next) { next(); });
#endif
}
