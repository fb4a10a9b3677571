// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "settings.hpp"

#include <escqrs/event_store.hpp>
#include <escqrs/sqlite/database.hpp>

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

} // namespace conference
