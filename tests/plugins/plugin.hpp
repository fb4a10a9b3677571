// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/commands/command_bus.hpp>
#include <escqrs/commands/dispatcher/command_dispatcher.hpp>
#include <escqrs/events/event_bus.hpp>
#include <escqrs/events/snapshot_event_bus.hpp>

#include <functional>
#include <string>
#include <string_view>

// What a program and its plugin share. Each uses the types in its own order.
namespace plugins {

struct Burn {
    using Result = std::string;
    int house = 0;
};
struct Close {
    using Result = std::string;
    int door = 0;
};
struct Lock {
    using Result = int; ///< another result than the others
    int door = 0;
};

struct DoorBurnt {
    static constexpr std::string_view event_name = "DoorBurnt";
};
struct DoorClosed {
    static constexpr std::string_view event_name = "DoorClosed";
    int door = 0;
};

/// Runs tasks when it is asked to.
using Dispatcher = escqrs::CommandDispatcher<std::function<void(std::function<void()>)>>;

/// What the plugin does with what the program hands it.
struct Plugin {
    void (*handle_lock)(escqrs::CommandBus&);
    std::string (*send_close)(const escqrs::CommandBus&);
    std::string (*send_secret)(const escqrs::CommandBus&); ///< its own command, of a name that the program uses too
    bool (*is_close)(const escqrs::CommandInfo&);
    std::string* (*result_of)(const escqrs::CommandInfo&);
    void (*publish)(escqrs::EventBus&);
    void (*publish_to_snapshots)(escqrs::SnapshotEventBus&);
    void (*fail)(); ///< throws a HandlerNotFound
    std::future<std::string> (*dispatch_close)(const Dispatcher&, int door);
};

} // namespace plugins
