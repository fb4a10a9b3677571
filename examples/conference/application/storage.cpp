// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "storage.hpp"

#include "../postgres/limits.hpp"
#include "relay_place.hpp"

#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/postgres/event_store.hpp>
#include <escqrs/sqlite/event_store.hpp>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace conference {

namespace fs = std::filesystem;

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

using Log = std::function<void(std::string_view)>;

void make_private(const fs::path& path, const Log& log)
{
    constexpr auto others = fs::perms::group_all | fs::perms::others_all;
    std::error_code error;
    if ((fs::status(path, error).permissions() & others) == fs::perms::none) return;
    fs::permissions(path, others, fs::perm_options::remove, error);
    if (error) log(path.string() + " stays open to other users: " + error.message());
}

/// Of a folder that holds other things as well, others may have been meant to use it.
template <class IsOurs>
void make_private_if_all(const fs::path& folder, const Log& log, IsOurs is_ours)
{
    std::error_code error;
    bool are_all = true;
    fs::directory_iterator entry{folder, error};
    if (error) return; // there is none, most likely
    for (; entry != fs::directory_iterator{}; entry.increment(error)) {
        if (!is_ours(*entry)) are_all = false;
    }
    if (are_all && !error) make_private(folder, log);
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
        const bool exists = fs::exists(settings.store.rest, error);
        const std::string what = "sqlite '" + settings.store.rest + "': expected an event store, found ";
        if (error) throw escqrs::StoreError{what + "nothing that can be looked at: " + error.message()};
        if (!exists) throw escqrs::StoreError{what + "no file"};
    }
    return open_store(settings, std::move(give_up), false);
}

void create_folders(const Settings& settings)
{
    for (const Location* location : {&settings.store, &settings.queue, &settings.read_model}) {
        const auto folder = fs::path{location->rest}.parent_path();
        if (location->scheme == "sqlite" && !folder.empty()) fs::create_directories(folder);
    }
}

void make_files_private(const Settings& settings, const std::function<void(std::string_view)>& log)
{
    constexpr std::string_view to_folder = "dir:";
    fs::path mails;
    if (settings.mail.starts_with(to_folder)) mails = settings.mail.substr(to_folder.size());
    make_private_if_all(mails, log, [&](const fs::directory_entry& entry) {
        const auto kind = entry.path().extension();
        std::error_code error;
        if ((kind != ".eml" && kind != ".tmp") || entry.symlink_status(error).type() != fs::file_type::regular)
            return false;
        make_private(entry.path(), log);
        return true;
    });
    std::vector<fs::path> databases;
    for (const Location* location : {&settings.store, &settings.queue, &settings.read_model}) {
        if (location->scheme == "sqlite") databases.emplace_back(location->rest);
    }
    if (settings.store.scheme == "sqlite") databases.emplace_back(relay_place_file(settings));
    for (const fs::path& database : databases) {
        for (const char* const suffix : {"", "-wal", "-shm", "-journal"}) {
            std::error_code error;
            const fs::path file =
                fs::weakly_canonical(database, error).string() + suffix; // beside what a link leads to
            if (fs::is_regular_file(file, error)) make_private(file, log);
        }
    }
    for (const fs::path& database : databases) {
        make_private_if_all(database.parent_path(), log, [&](const fs::directory_entry& entry) {
            std::error_code error;
            const auto name = entry.path().filename().string();
            return (!mails.empty() && fs::equivalent(entry.path(), mails, error)) ||
                   std::ranges::any_of(databases, [&](const fs::path& other) {
                       return other.parent_path() == database.parent_path() &&
                              name.starts_with(other.filename().string());
                   });
        });
    }
}

escqrs::sqlite::Synchronous synchronous_of(const Settings& settings) noexcept
{
    return settings.durable ? escqrs::sqlite::Synchronous::full : escqrs::sqlite::Synchronous::normal;
}

} // namespace conference
