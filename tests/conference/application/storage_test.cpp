// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "application/storage.hpp"

#include "application/relay_place.hpp"
#include "support/temporary_folder.hpp"

#include <escqrs/core/id_generator.hpp>
#include <escqrs/testing/catch2.hpp>

#include <filesystem>
#include <set>
#include <string>
#include <string_view>

using namespace conference;
namespace fs = std::filesystem;

TEST_CASE("storage: files that an earlier version made for all to read are their owner's after a start")
{
    const TemporaryFolder folder;
    fs::create_directory(folder.file("data"));
    fs::create_directory_symlink("data", folder.file("link"));
    Settings settings;
    settings.store = {"sqlite", folder.file("link/events.db")};
    settings.queue = {"memory", {}};
    settings.read_model = {"sqlite", folder.file("link/not-there-yet.db")};
    auto store = open_event_store(settings);
    escqrs::NewEvent event;
    event.id = escqrs::EventId{escqrs::random_uuid()};
    event.type = "Happened";
    store.append({"attendee", escqrs::random_uuid()}, escqrs::ExpectedVersion::any(), {&event, 1});
    const auto place = open_relay_place(settings);
    place->save(escqrs::GlobalPosition{1});

    std::set<std::string> names;
    for (const auto& file : fs::directory_iterator{folder.file("data")}) {
        names.insert(file.path().filename().string());
        fs::permissions(file.path(), fs::perms::group_read | fs::perms::others_read, fs::perm_options::add);
    }
    for (const char* const name : {"events.db", "events.db-wal", "events.db-shm", "events.db-relay"})
        REQUIRE(names.contains(name));
    make_files_private(settings, [](std::string_view line) { FAIL(line); });
    for (const std::string& name : names) {
        CAPTURE(name);
        const auto permissions = fs::status(folder.file("data/" + name)).permissions();
        CHECK((permissions & (fs::perms::group_all | fs::perms::others_all)) == fs::perms::none);
        CHECK((permissions & fs::perms::owner_write) != fs::perms::none);
    }
    CHECK_FALSE(fs::exists(settings.read_model.rest));
}

TEST_CASE("storage: a log that cannot be looked at is a store error")
{
    const TemporaryFolder folder;
    fs::create_symlink("loop", folder.file("loop"));
    Settings settings;
    settings.store = {"sqlite", folder.file("loop/events.db")};
    try {
        open_existing_event_store(settings);
        FAIL("expected an error");
    } catch (const escqrs::StoreError& error) {
        CHECK(std::string_view{error.what()}.find("found nothing that can be looked at: ") != std::string_view::npos);
    }
    settings.store.rest = folder.file("events.db");
    CHECK_THROWS_AS(open_existing_event_store(settings), escqrs::StoreError);
}
