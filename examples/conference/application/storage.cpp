// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "storage.hpp"

#include "../postgres/limits.hpp"
#include "relay_place.hpp"

#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/postgres/event_store.hpp>
#include <escqrs/sqlite/event_store.hpp>

#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace conference {

namespace {

escqrs::AnyEventStore open_store(const Settings& settings, std::stop_token give_up, bool notifies)
{
    if (settings.store.scheme == "memory")
        return escqrs::AnyEventStore{std::make_shared<escqrs::in_memory::EventStore>()};
    if (settings.store.scheme == "postgres") {
        escqrs::postgres::EventStoreOptions options;
        options.connection = postgres::limited(postgres::answer_timeout, std::move(give_up));
        options.reconnect_timeout = postgres::answer_timeout;
        options.notifies = notifies;
        return escqrs::AnyEventStore{std::make_shared<escqrs::postgres::EventStore>(settings.store.rest, options)};
    }
    escqrs::sqlite::EventStoreOptions options;
    options.synchronous = synchronous_of(settings);
    options.busy_timeout = file_busy_timeout;
    return escqrs::AnyEventStore{std::make_shared<escqrs::sqlite::EventStore>(settings.store.rest, options)};
}

} // namespace

escqrs::AnyEventStore open_event_store(const Settings& settings, std::stop_token give_up)
{
    return open_store(settings, std::move(give_up), true);
}

escqrs::AnyEventStore open_existing_event_store(const Settings& settings, std::stop_token give_up)
{
    if (settings.store.scheme == "sqlite") {
        std::error_code error;
        const bool exists = std::filesystem::exists(settings.store.rest, error);
        const std::string what = "sqlite '" + settings.store.rest + "': expected an event store, found ";
        if (error) throw escqrs::StoreError{what + "nothing that can be looked at: " + error.message()};
        if (!exists) throw escqrs::StoreError{what + "no file"};
    }
    return open_store(settings, std::move(give_up), false);
}

void create_folders(const Settings& settings)
{
    for (const Location* location : {&settings.store, &settings.queue, &settings.read_model}) {
        const auto folder = std::filesystem::path{location->rest}.parent_path();
        if (location->scheme == "sqlite" && !folder.empty()) std::filesystem::create_directories(folder);
    }
}

void make_files_private(const Settings& settings, const std::function<void(std::string_view)>& log)
{
    namespace fs = std::filesystem;
    std::vector<std::string> databases;
    for (const Location* location : {&settings.store, &settings.queue, &settings.read_model}) {
        if (location->scheme == "sqlite") databases.push_back(location->rest);
    }
    if (settings.store.scheme == "sqlite") databases.push_back(relay_place_file(settings));
    for (const std::string& database : databases) {
        for (const char* const suffix : {"", "-wal", "-shm", "-journal"}) {
            std::error_code error;
            const fs::path file =
                fs::weakly_canonical(database, error).string() + suffix; // beside what a link leads to
            if (!fs::is_regular_file(file, error)) continue;
            fs::permissions(file, fs::perms::group_all | fs::perms::others_all, fs::perm_options::remove, error);
            if (error) log(file.string() + " stays open to other users: " + error.message());
        }
    }
}

escqrs::sqlite::Synchronous synchronous_of(const Settings& settings) noexcept
{
    return settings.durable ? escqrs::sqlite::Synchronous::full : escqrs::sqlite::Synchronous::normal;
}

} // namespace conference
