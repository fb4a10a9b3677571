// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// Commands that depend on the version their sender saw.
#include "support/inventory.hpp"

#include <escqrs/commands/decider_handler.hpp>
#include <escqrs/commands/middleware/retry_on_conflict.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/testing/catch2.hpp>

#include <charconv>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

using namespace inventory;
using escqrs::CommandContext;
using escqrs::ExpectedVersion;
using escqrs::Metadata;
using escqrs::PreconditionFailed;
using escqrs::StreamVersion;
using Store = escqrs::in_memory::EventStore;

namespace {

const ItemId bolt{"BOLT-M6"};

struct StoreRoom {
    StoreRoom()
    {
        items.execute_or_begin(bolt, [](InventoryItem& item) { item.receive(10); });
    }

    /// Ships one piece at version `expected`.
    escqrs::CommitResult ship(ExpectedVersion expected, const Metadata& metadata = {})
    {
        const auto ship_one = [this](InventoryItem& item) {
            ++decisions;
            item.ship(1);
        };
        return items.execute(bolt, expected, ship_one, metadata);
    }

    Store store;
    escqrs::Repository<InventoryItem, Store> items{store};
    int decisions = 0;
};

ExpectedVersion version(std::uint64_t value) { return ExpectedVersion::exactly(StreamVersion{value}); }

struct ShipItem {
    ItemId item;
    int pieces = 0;
    ExpectedVersion expected = ExpectedVersion::any();
};

/// What an If-Match field requires: the version in an entity tag that the service has given, `"7"`, or, with `*`, that
/// there is such an item.
ExpectedVersion if_match(std::string_view field)
{
    if (field == "*") return ExpectedVersion::stream_exists();
    std::uint64_t version = 0;
    const auto* const end = field.data() + field.size();
    const bool is_quoted = field.size() > 2 && field.front() == '"' && field.back() == '"';
    if (!is_quoted || std::from_chars(field.data() + 1, end - 1, version).ptr != end - 1)
        throw std::invalid_argument{"If-Match: expected \"version\" or *"};
    return ExpectedVersion::exactly(StreamVersion{version});
}

std::string etag(StreamVersion version) { return '"' + std::to_string(version.value()) + '"'; }

struct Response {
    int status = 200;
    std::string etag;
};

/// POST /items/{item}/shipments
Response post_shipment(const escqrs::CommandBus& bus, const ItemId& item, std::string_view if_match_field)
{
    try {
        return {200, etag(bus.send(ShipItem{item, 1, if_match(if_match_field)}).version)};
    } catch (const PreconditionFailed& failed) {
        return {412, etag(failed.actual())}; // the client shows the item anew
    }
}

} // namespace

TEST_CASE("expected version: a change is made at that version, and at no other")
{
    StoreRoom room;
    CHECK(room.ship(version(1)).version == StreamVersion{2});
    CHECK_THROWS_AS(room.ship(version(1)), PreconditionFailed);
    CHECK_THROWS_WITH(room.ship(version(3)),
                      "concurrency conflict on stream 'inventory_item-BOLT-M6': expected version "
                      "3, found version 2");
    CHECK(room.decisions == 1);
    CHECK(room.items.get(bolt).version() == StreamVersion{2});
    CHECK_THROWS_AS(room.items.execute(ItemId{"NUT"}, version(1), [](InventoryItem&) {}), escqrs::AggregateNotFound);
}

TEST_CASE("expected version: a conflict is not tried again")
{
    StoreRoom room;
    int decisions = 0;
    const auto meet = [&](InventoryItem& item) {
        ++decisions;
        room.ship(ExpectedVersion::any());
        item.ship(1);
    };
    try {
        room.items.execute(bolt, version(1), meet);
        FAIL("it was carried out");
    } catch (const PreconditionFailed& failed) {
        CHECK(failed.actual() == StreamVersion{2});
        CHECK(escqrs::classify(failed) == escqrs::FailureKind::refused);
    }
    CHECK(decisions == 1);
}

TEST_CASE("expected version: a requirement that still holds after a conflict is tried again")
{
    StoreRoom room;
    int decisions = 0;
    const auto meet_once = [&](InventoryItem& item) {
        if (++decisions == 1) room.ship(ExpectedVersion::any());
        item.ship(1);
    };
    CHECK(room.items.execute(bolt, ExpectedVersion::stream_exists(), meet_once).version == StreamVersion{3});
    CHECK(decisions == 2);
}

TEST_CASE("expected version: an item is begun once")
{
    StoreRoom room;
    const ItemId nut{"NUT"};
    const auto receive = [](InventoryItem& item) { item.receive(1); };
    CHECK_THROWS_AS(room.items.execute_or_begin(nut, ExpectedVersion::stream_exists(), receive), PreconditionFailed);
    CHECK(room.items.execute_or_begin(nut, ExpectedVersion::no_stream(), receive).version == StreamVersion{1});
    CHECK_THROWS_AS(room.items.execute_or_begin(nut, ExpectedVersion::no_stream(), receive), PreconditionFailed);
}

TEST_CASE("expected version: a repeated command gets its first result")
{
    StoreRoom room;
    Metadata metadata;
    metadata.command_id = escqrs::CommandId{escqrs::random_uuid()};
    const auto first = room.ship(version(1), metadata);
    const auto again = room.ship(version(1), metadata);
    CHECK(again == first);
    CHECK(again.repeated);
    CHECK(room.decisions == 1);

    metadata.new_command = metadata.command_id; // as if the first had not been stored yet when this one was looked up
    CHECK(room.ship(version(1), metadata) == first);
}

TEST_CASE("expected version: the bus does not try again either")
{
    StoreRoom room;
    escqrs::CommandBus bus;
    int attempts = 0;
    bus.handle<ShipItem>([&](const ShipItem& ship, const CommandContext& context) {
        ++attempts;
        const auto change = [&](InventoryItem& item) { item.ship(ship.pieces); };
        return room.items.execute(ship.item, ship.expected, change, context);
    });
    bus.use(escqrs::retry_on_conflict());
    CHECK(post_shipment(bus, bolt, "\"1\"").etag == "\"2\"");
    const Response late = post_shipment(bus, bolt, "\"1\"");
    CHECK(late.status == 412);
    CHECK(late.etag == "\"2\"");
    CHECK(post_shipment(bus, bolt, "*").etag == "\"3\"");
    CHECK_THROWS_AS(post_shipment(bus, bolt, "1"), std::invalid_argument);
    CHECK(attempts == 3);
}

TEST_CASE("expected version: a decider's command says which version it requires")
{
    Store store;
    const escqrs::Repository<escqrs::Decided<OrderedItem>, Store> orders{store};
    escqrs::CommandBus bus;
    bus.handle(escqrs::decided_by(orders, &Order::item, &Order::expected));
    CHECK(bus.send(Order{bolt, 1}).version == StreamVersion{1});
    CHECK(bus.send(Order{bolt, 1, version(1)}).version == StreamVersion{2});
    CHECK_THROWS_AS(bus.send(Order{bolt, 1, version(1)}), PreconditionFailed);

    escqrs::CommandBus other;
    other.handle(
        escqrs::decided_by<Order>(orders, &Order::item, [](const Order&) { return ExpectedVersion::no_stream(); }));
    CHECK_THROWS_AS(other.send(Order{bolt, 1}), PreconditionFailed);
}
