// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "storage.hpp"

#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/sqlite/event_store.hpp>

#include <filesystem>
#include <memory>

namespace conference {

escqrs::AnyEventStore open_event_store(const Settings& settings)
{
    if (settings.store.scheme == "memory")
        return escqrs::AnyEventStore{std::make_shared<escqrs::in_memory::EventStore>()};
    escqrs::sqlite::EventStoreOptions options;
    options.synchronous = synchronous_of(settings);
    return escqrs::AnyEventStore{std::make_shared<escqrs::sqlite::EventStore>(settings.store.rest, options)};
}

std::string relay_checkpoint_path(const Settings& settings)
{
    return settings.store.scheme == "memory" ? ":memory:" : settings.store.rest + "-relay";
}

void create_folders(const Settings& settings)
{
    for (const Location* location : {&settings.store, &settings.queue, &settings.read_model}) {
        const auto folder = std::filesystem::path{location->rest}.parent_path();
        if (location->scheme == "sqlite" && !folder.empty()) std::filesystem::create_directories(folder);
    }
}

escqrs::sqlite::Synchronous synchronous_of(const Settings& settings) noexcept
{
    return settings.durable ? escqrs::sqlite::Synchronous::full : escqrs::sqlite::Synchronous::normal;
}

} // namespace conference
