// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: an executor is called with (std::function<void()>) and runs it, at once or later
#include <escqrs/commands/dispatcher/command_dispatcher.hpp>

#include <functional>

int main()
{
    const escqrs::CommandBus bus;
#ifdef OFFENDING
    const auto executor = [](int) {};
#else
    const auto executor = [](const std::function<void()>& task) { task(); };
#endif
    const escqrs::CommandDispatcher dispatcher{bus, executor};
}
