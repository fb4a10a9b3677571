// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "application/storage.hpp"

#include "application/relay_place.hpp"
#include "support/temporary_folder.hpp"

#include <escqrs/core/id_generator.hpp>
#include <escqrs/testing/catch2.hpp>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <string_view>

using namespace conference;
namespace fs = std::filesystem;

namespace {

constexpr auto others = fs::perms::group_all | fs::perms::others_all;

bool is_private(const std::string& path) { return (fs::status(path).permissions() & others) == fs::perms::none; }

void make_open(const std::string& path)
{
    fs::permissions(path, fs::perms::group_read | fs::perms::others_read, fs::perm_options::add);
}

void write_open_file(const std::string& path)
{
    std::ofstream{path} << "text";
    make_open(path);
}

} // namespace

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
        make_open(file.path());
    }
    for (const char* const name : {"events.db", "events.db-wal", "events.db-shm", "events.db-relay"})
        REQUIRE(names.contains(name));
    make_files_private(settings, [](std::string_view line) { FAIL(line); });
    for (const std::string& name : names) {
        CAPTURE(name);
        CHECK(is_private(folder.file("data/" + name)));
        CHECK((fs::status(folder.file("data/" + name)).permissions() & fs::perms::owner_write) != fs::perms::none);
    }
    CHECK_FALSE(fs::exists(settings.read_model.rest));
}

TEST_CASE("storage: the folders of an earlier version and its mails are their owner's after a start, if they hold "
          "nothing else")
{
    const TemporaryFolder folder;
    fs::create_directories(folder.file("data/mail"));
    for (const char* const file : {"events.db", "events.db-relay", "queue.db-wal", "mail/1.eml", "mail/2.1.tmp"})
        write_open_file(folder.file("data/") + file);
    for (const char* const path : {"data", "data/mail"}) make_open(folder.file(path));
    Settings settings;
    settings.store = {"sqlite", folder.file("data/events.db")};
    settings.queue = {"sqlite", folder.file("data/queue.db")};
    settings.read_model = {"sqlite", folder.file("data/read-model.db")};
    settings.mail = "dir:" + folder.file("data/mail");
    bool are_folders_ours = true;
    SECTION("nothing else") {}
    SECTION("something else")
    {
        write_open_file(folder.file("data/notes.txt"));
        write_open_file(folder.file("data/mail/notes.txt"));
        are_folders_ours = false;
    }
    make_files_private(settings, [](std::string_view line) { FAIL(line); });
    for (const char* const file : {"events.db", "events.db-relay", "queue.db-wal", "mail/1.eml", "mail/2.1.tmp"}) {
        CAPTURE(file);
        CHECK(fs::status(folder.file("data/") + file).permissions() ==
              (fs::perms::owner_read | fs::perms::owner_write));
    }
    for (const char* const path : {"data", "data/mail"}) {
        CAPTURE(path);
        CHECK(is_private(folder.file(path)) == are_folders_ours);
        CHECK((fs::status(folder.file(path)).permissions() & fs::perms::owner_all) == fs::perms::owner_all);
    }
    if (!are_folders_ours) CHECK_FALSE(is_private(folder.file("data/notes.txt")));
}

TEST_CASE("storage: folders that are not there, and mails by SMTP, are nothing to make private")
{
    const TemporaryFolder folder;
    Settings settings;
    settings.store = {"sqlite", folder.file("data/events.db")};
    settings.mail = GENERATE("smtp://localhost", "dir:not-there/mail");
    make_files_private(settings, [](std::string_view line) { FAIL(line); });
    CHECK_FALSE(fs::exists(folder.file("data")));
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
