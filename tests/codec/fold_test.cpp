// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/inventory.hpp"

#include <escqrs/codec/fold.hpp>
#include <escqrs/codec/upcasting.hpp>
#include <escqrs/commands/repository.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/testing/catch2.hpp>

#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

using namespace inventory;
using Store = escqrs::in_memory::EventStore;

namespace {

const ItemId bolt{"BOLT-M6"};
const escqrs::StreamId stream{InventoryItem::category, bolt.value()};

/// A store room with 10 bolts received, 3 and 2 shipped.
struct StoreRoom {
    StoreRoom()
    {
        InventoryItem item{bolt};
        item.receive(10);
        item.ship(3);
        item.ship(2);
        escqrs::Metadata metadata;
        metadata.actor = "ada";
        items.save(item, metadata);
    }

    Store store;
    escqrs::Repository<InventoryItem, Store> items{store};
};

struct Turnover {
    int in = 0;
    int out = 0;
};

Turnover with(Turnover turnover, const ItemReceived& event) { return {turnover.in + event.pieces, turnover.out}; }
Turnover with(Turnover turnover, const ItemShipped& event) { return {turnover.in, turnover.out + event.pieces}; }

/// What `ItemShipped` became in a later release.
struct Packed {
    static constexpr std::string_view event_name = "Packed";
    int pieces = 0;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("pieces", pieces);
    }
};
struct Sent {
    static constexpr std::string_view event_name = "Sent";

    template <class Archive>
    void serialize(Archive&, unsigned /*version*/)
    {
    }
};
std::tuple<Packed, Sent> in_two_steps(const ItemShipped& old) { return {{old.pieces}, {}}; }
using Evolved = escqrs::Evolution<escqrs::EventList<ItemReceived, Packed, Sent>, escqrs::Upcast<in_two_steps>>;

/// `ItemReceived` when there is no memory to read it.
struct Unread {
    static constexpr std::string_view event_name = "ItemReceived";

    template <class Archive>
    void serialize(Archive&, unsigned /*version*/)
    {
        if constexpr (Archive::is_loading::value) throw std::bad_alloc{};
    }
};
struct UnreadItem : escqrs::AggregateRoot<UnreadItem, ItemId, Unread> {
    static constexpr std::string_view category = InventoryItem::category;
    explicit UnreadItem(const Id& id) : AggregateRoot{id} {}
    void apply(const Unread&) {}
};

/// An item when there is no memory to read its snapshot.
struct UnrecalledItem : escqrs::AggregateRoot<UnrecalledItem, ItemId, ItemReceived, ItemShipped> {
    static constexpr std::string_view category = InventoryItem::category;
    static constexpr unsigned snapshot_version = 1;
    explicit UnrecalledItem(const Id& id) : AggregateRoot{id} {}
    void apply(const ItemReceived&) {}
    void apply(const ItemShipped&) {}

    template <class Archive>
    void serialize(Archive&, unsigned /*version*/)
    {
        if constexpr (Archive::is_loading::value) throw std::bad_alloc{};
    }
};

} // namespace

TEST_CASE("fold: the events of a stream become a value of any type")
{
    StoreRoom room;
    const auto turnover =
        escqrs::fold<InventoryItem>(room.store, stream, Turnover{}, [](Turnover so_far, const auto& event) { //
            return with(so_far, event);
        });
    CHECK(turnover.in == 10);
    CHECK(turnover.out == 5);

    escqrs::AnyEventStore any{std::shared_ptr<Store>{std::shared_ptr<void>{}, &room.store}};
    using Events = escqrs::EventList<ItemReceived, ItemShipped>;
    CHECK(escqrs::fold<Events>(any, stream, 0, [](int count, const auto&) { return count + 1; }) == 3);
    CHECK(escqrs::fold<Events>(any, {"inventory_item", "NUT"}, 7, [](int count, const auto&) { return count + 1; }) ==
          7);
}

TEST_CASE("fold: old shapes are upcast, and the parts of one event are counted")
{
    StoreRoom room;
    std::vector<std::string> seen;
    escqrs::read_events<Evolved>(room.store, stream, [&]<class E>(const E&, const escqrs::EventContext& context) {
        seen.push_back(std::string{E::event_name} + " " + std::to_string(context.version.value()) + "." +
                       std::to_string(context.part) + " by " + context.metadata.actor);
    });
    CHECK(seen == std::vector<std::string>{"ItemReceived 1.0 by ada", "Packed 2.0 by ada", "Sent 2.1 by ada",
                                           "Packed 3.0 by ada", "Sent 3.1 by ada"});
}

TEST_CASE("fold: a visitor that stops sees a stream as it was")
{
    StoreRoom room;
    int pieces = 0; // as they were at version 2
    escqrs::read_events<InventoryItem>(room.store, stream, [&](const auto& event, const escqrs::EventContext& context) {
        const Turnover one = with({}, event);
        pieces += one.in - one.out;
        return context.version < escqrs::StreamVersion{2};
    });
    CHECK(pieces == 7);
}

TEST_CASE("fold: a visitor that returns false is not called again")
{
    StoreRoom room;
    int calls = 0;
    escqrs::read_events<Evolved>(room.store, stream, [&](const auto& event) {
        ++calls;
        return std::is_same_v<std::remove_cvref_t<decltype(event)>, ItemReceived>;
    });
    CHECK(calls == 2); // not for the second part of the second event
}

TEST_CASE("fold: an event that cannot be read is named by its version and position")
{
    StoreRoom room;
    using Received = escqrs::EventList<ItemReceived>;
    const auto read = [&] { escqrs::read_events<Received>(room.store, stream, [](const auto&) {}); };
    CHECK_THROWS_AS(read(), escqrs::HydrationError);
    CHECK_THROWS_WITH(read(), "cannot rebuild 'inventory_item-BOLT-M6' from event version 2 at position 2: unknown "
                              "event type 'ItemShipped'");
}

TEST_CASE("fold: a lack of memory is no fault of the event or the snapshot, for a repository neither")
{
    StoreRoom room;
    const auto read = [&] { escqrs::read_events<UnreadItem>(room.store, stream, [](const auto&) {}); };
    CHECK_THROWS_AS(read(), std::bad_alloc);
    CHECK_THROWS_AS((escqrs::Repository<UnreadItem, Store>{room.store}.get(bolt)), std::bad_alloc);

    escqrs::RepositoryOptions options;
    options.snapshots = escqrs::SnapshotPolicy::every(1);
    const escqrs::Repository<UnrecalledItem, Store> items{room.store, options};
    CHECK(items.get(bolt).version() == escqrs::StreamVersion{3});
    const escqrs::Repository<InventoryItem, Store> keeping{room.store, options};
    keeping.execute(bolt, [](InventoryItem& item) { item.ship(1); });
    CHECK_THROWS_AS(items.get(bolt), std::bad_alloc);
}

TEST_CASE("fold: what the visitor throws reaches the caller as it is")
{
    StoreRoom room;
    const auto refuse = [](const auto&) { throw std::domain_error{"enough"}; };
    CHECK_THROWS_AS(escqrs::read_events<InventoryItem>(room.store, stream, refuse), std::domain_error);
}
