// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "settings.hpp"

#include <escqrs/event_store.hpp>
#include <escqrs/sqlite/database.hpp>

namespace conference {

/// Opens the event store that the settings name.
/// @throws escqrs::StoreError
escqrs::AnyEventStore open_event_store(const Settings& settings);

/// As `open_event_store`, of one that is there: a file is not created.
/// @throws escqrs::StoreError
escqrs::AnyEventStore open_existing_event_store(const Settings& settings);

/// Creates the folders that the settings' files are to stand in.
void create_folders(const Settings& settings);

escqrs::sqlite::Synchronous synchronous_of(const Settings& settings) noexcept;

} // namespace conference
