// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// A plugin in a shared library, built like this program with hidden visibility and loaded with RTLD_LOCAL: neither shares
// any symbol with the other.
#include "plugin.hpp"

#include <escqrs/testing/catch2.hpp>

#include <dlfcn.h>
#include <typeinfo>
#include <vector>

namespace {

using namespace plugins;

/// Of the same name as a command of the plugin.
struct Secret {
    using Result = std::string;
    int value = 0;
};

void* library()
{
    static void* const handle = ::dlopen(PLUGIN_FILE, RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) throw std::runtime_error{::dlerror()};
    return handle;
}

const Plugin& load() { return *reinterpret_cast<const Plugin* (*)()>(::dlsym(library(), "the_plugin"))(); }

/// Handlers of the commands, in another order than the plugin uses them.
void handle_all(escqrs::CommandBus& bus)
{
    bus.handle<Secret>([](const Secret&) { return std::string{"secret"}; });
    bus.handle<Burn>([](const Burn& burn) { return "burnt " + std::to_string(burn.house); });
    bus.handle<Close>([](const Close& close) { return "closed " + std::to_string(close.door); });
}

template <class Bus>
std::vector<std::string> heard_from_plugin(void (*publish)(Bus&))
{
    Bus bus;
    std::vector<std::string> heard;
    const auto burnt = bus.template subscribe<DoorBurnt>([&](const DoorBurnt&) { heard.emplace_back("burnt"); });
    const auto closed = bus.template subscribe<DoorClosed>(
        [&](const DoorClosed& event) { heard.push_back("closed " + std::to_string(event.door)); });
    const auto all = bus.subscribe_to_all(
        [&](const escqrs::PublishedEvent& event) { heard.push_back("all " + std::string{event.name}); });
    publish(bus);
    return heard;
}

} // namespace

TEST_CASE("what a plugin throws is caught by its type, which the plugin exports", "[plugins]")
{
    CHECK_THROWS_AS(load().fail(), escqrs::HandlerNotFound);
    const std::string type = std::string{"_ZTI"} + typeid(escqrs::HandlerNotFound).name();
    CHECK(::dlsym(library(), type.c_str()) != nullptr);
}

TEST_CASE("a command that a plugin sends reaches its own handler in the program", "[plugins]")
{
    escqrs::CommandBus bus;
    handle_all(bus);
    CHECK(load().send_close(bus) == "closed 7");
}

TEST_CASE("a handler that a plugin registers is the program's handler of that command", "[plugins]")
{
    escqrs::CommandBus bus;
    handle_all(bus);
    load().handle_lock(bus);
    CHECK(bus.send(Lock{5}) == 5);
    CHECK(bus.send(Burn{2}) == "burnt 2");
    CHECK_THROWS_AS(load().handle_lock(bus), escqrs::DuplicateHandler);
}

TEST_CASE("a type of one translation unit is not taken for another of the same name", "[plugins]")
{
    escqrs::CommandBus bus;
    handle_all(bus);
    CHECK(bus.send(Secret{}) == "secret");
    CHECK_THROWS_AS(load().send_secret(bus), escqrs::HandlerNotFound);
}

TEST_CASE("a middleware in a plugin knows the commands and results of the program", "[plugins]")
{
    escqrs::CommandBus bus;
    handle_all(bus);
    std::vector<bool> is_close;
    bus.use([&](const escqrs::CommandInfo& command, escqrs::NextHandler next) {
        is_close.push_back(load().is_close(command));
        CHECK(load().result_of(command) == nullptr);
        next();
        REQUIRE(load().result_of(command) != nullptr);
        *load().result_of(command) += ", said the plugin";
    });
    CHECK(bus.send(Burn{1}) == "burnt 1, said the plugin");
    CHECK(load().send_close(bus) == "closed 7, said the plugin");
    CHECK(is_close == std::vector<bool>{false, true});
}

TEST_CASE("an event that a plugin publishes reaches the program's subscribers", "[plugins]")
{
    const std::vector<std::string> expected{"closed 7", "all DoorClosed"};
    CHECK(heard_from_plugin(load().publish) == expected);
    CHECK(heard_from_plugin(load().publish_to_snapshots) == expected);
}

TEST_CASE("commands from a plugin and from the program run in one order", "[plugins]")
{
    escqrs::CommandBus bus;
    handle_all(bus);
    std::vector<std::function<void()>> tasks;
    Dispatcher dispatcher{bus, [&](std::function<void()> task) { tasks.push_back(std::move(task)); }};
    dispatcher.in_order_by(&Burn::house, &Close::door);

    auto burnt = dispatcher.send(Burn{7});
    auto closed = load().dispatch_close(dispatcher, 7);
    REQUIRE(tasks.size() == 1); // the plugin's command waits for its turn
    for (std::size_t at = 0; at < tasks.size(); ++at) std::function<void()>{tasks[at]}();
    CHECK(burnt.get() == "burnt 7");
    CHECK(closed.get() == "closed 7");
}
