// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "settings.hpp"

#include <escqrs/sqlite/database.hpp>
#include <escqrs/store/any_event_store.hpp>

#include <chrono>
#include <functional>
#include <stop_token>
#include <string_view>

namespace conference {

/// How long web role and relay wait for another process's write to an SQLite file to end. Such a wait does not end by a stop
/// request, and the process has to end within 30 seconds of one.
constexpr std::chrono::seconds file_busy_timeout{3};

/// Opens the event store that the settings name.
/// @param give_up  when it is requested, nothing waits for a PostgreSQL server for longer than a second
/// @throws escqrs::StoreError
escqrs::AnyEventStore open_event_store(const Settings& settings, std::stop_token give_up = {});

/// As `open_event_store`, of one that is there, to be read: a file is not created, and no connection waits for news.
/// @throws escqrs::StoreError
escqrs::AnyEventStore open_existing_event_store(const Settings& settings, std::stop_token give_up = {});

/// Creates the folders that the settings' files are to stand in.
void create_folders(const Settings& settings);

/// Takes the permissions of group and others from the SQLite files and mails that exist, and from the folders that hold nothing
/// else: an earlier version created them for all to read, and they hold addresses, and ids that are keys. Files that SQLite creates
/// later get the permissions of the database.
/// @param log  of what stays as it is, for it belongs to another user
void make_files_private(const Settings& settings, const std::function<void(std::string_view)>& log);

escqrs::sqlite::Synchronous synchronous_of(const Settings& settings) noexcept;

} // namespace conference
