// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "application/log_lookup.hpp"

#include "application/storage.hpp"
#include "support/temporary_folder.hpp"

#include <escqrs/core/error.hpp>
#include <escqrs/core/id_generator.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/testing/catch2.hpp>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

using namespace conference;

namespace {

const escqrs::StreamId stream{"attendee", escqrs::random_uuid()};

template <class Store>
void append_to(Store& store)
{
    escqrs::NewEvent event;
    event.id = escqrs::EventId{escqrs::random_uuid()};
    event.type = "something.v1";
    store.append(stream, escqrs::ExpectedVersion::any(), std::vector{event});
}

} // namespace

TEST_CASE("log lookup: opens the log at the first look, and once")
{
    const auto store = std::make_shared<escqrs::in_memory::EventStore>();
    int opened = 0;
    const auto look_up = look_up_in([&] {
        ++opened;
        return escqrs::AnyEventStore{store};
    });
    CHECK(opened == 0);
    CHECK(look_up(stream, escqrs::StreamVersion{1}) == false);
    append_to(*store);
    CHECK(look_up(stream, escqrs::StreamVersion{1}) == true);
    CHECK(look_up(stream, escqrs::StreamVersion{2}) == false);
    CHECK(opened == 1);
}

TEST_CASE("log lookup: tells nothing of a log that cannot be opened, or not be read")
{
    const TemporaryFolder folder;
    Settings settings;
    settings.store = {"sqlite", folder.file("events.db")};
    const auto look_up = look_up_in([&] { return open_existing_event_store(settings); });
    CHECK(look_up(stream, escqrs::StreamVersion{1}) == std::nullopt);
    CHECK_FALSE(std::filesystem::exists(settings.store.rest));
    auto store = open_event_store(settings);
    append_to(store);
    CHECK(look_up(stream, escqrs::StreamVersion{1}) == true);
    escqrs::sqlite::Database{settings.store.rest}.execute("DROP TABLE events");
    CHECK(look_up(stream, escqrs::StreamVersion{1}) == std::nullopt);
}
