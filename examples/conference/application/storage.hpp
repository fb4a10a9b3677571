// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "settings.hpp"

#include <escqrs/event_store.hpp>
#include <escqrs/in_memory/message_queue.hpp>
#include <escqrs/sqlite/message_queue.hpp>

#include <string>

namespace conference {

/// Opens the event store that the settings name.
/// @throws escqrs::StoreError
escqrs::AnyEventStore open_event_store(const Settings& settings);

/// Where the relay remembers how far it came: a file of its own beside the store, so that it never waits for the store's
/// writers; `:memory:` for a store in memory.
std::string relay_checkpoint_path(const Settings& settings);

/// Creates the folders that the settings' files are to stand in.
void create_folders(const Settings& settings);

escqrs::sqlite::Synchronous synchronous_of(const Settings& settings) noexcept;

/// Opens the queue that the settings name and calls `use(queue)`, whatever its type.
/// @throws escqrs::TransportError
template <class Use>
void with_queue(const Settings& settings, Use&& use)
{
    if (settings.queue.scheme == "memory") {
        escqrs::in_memory::MessageQueue queue;
        use(queue);
    } else {
        escqrs::sqlite::MessageQueueSettings file;
        file.database.synchronous = synchronous_of(settings);
        escqrs::sqlite::MessageQueue queue{settings.queue.rest, {}, file};
        use(queue);
    }
}

} // namespace conference
