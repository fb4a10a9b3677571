// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "plugin.hpp"

namespace {

using namespace plugins;

struct Secret {
    using Result = std::string;
    double value = 0.5;
};

const escqrs::EventContext context{escqrs::StreamId::parse("door-1"), {}, {}, {}};

template <class Bus>
void publish(Bus& bus)
{
    bus.publish(DoorClosed{7}, context);
}

const Plugin plugin{
    .handle_lock = [](escqrs::CommandBus& bus) { bus.handle<Lock>([](const Lock& lock) { return lock.door; }); },
    .send_close = [](const escqrs::CommandBus& bus) { return bus.send(Close{7}); },
    .send_secret = [](const escqrs::CommandBus& bus) { return bus.send(Secret{}); },
    .is_close = [](const escqrs::CommandInfo& info) { return info.as<Close>() != nullptr; },
    .result_of = [](const escqrs::CommandInfo& info) -> std::string* {
        auto* const result = info.result<std::string>();
        return result != nullptr && *result ? &**result : nullptr;
    },
    .publish = publish<escqrs::EventBus>,
    .publish_to_snapshots = publish<escqrs::SnapshotEventBus>,
    .fail = [] { throw escqrs::HandlerNotFound{"Burn"}; },
    .dispatch_close = [](const Dispatcher& dispatcher, int door) { return dispatcher.send(Close{door}); },
};

} // namespace

extern "C" __attribute__((visibility("default"))) const Plugin* the_plugin() { return &plugin; }
