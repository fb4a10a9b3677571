// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/inventory.hpp"
#include "support/task_queue.hpp"

#include <escqrs/commands/decider_handler.hpp>
#include <escqrs/commands/dispatcher/command_dispatcher.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/given_events.hpp>
#include <escqrs/testing/given_when_then.hpp>

#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

using namespace inventory;
using Store = escqrs::in_memory::EventStore;

namespace {

struct Waiting {
    static constexpr std::string_view category = "waiting";
    using Id = ItemId;
    using State = int;
    using Events = escqrs::EventList<ItemReceived>;

    static State initial() { return 0; }
    static State evolve(State state, const ItemReceived&) { return state; }
};
struct Composed : escqrs::Compose<OrderedItem, Waiting> {
    static constexpr std::string_view category = "composed";
};

/// Its id is a UUID that has a name before the aggregate has.
using DoorId = escqrs::Id<struct DoorIdTag>;
class Door : public escqrs::AggregateRoot<Door, DoorId, escqrs::NoStateChange<ItemShipped>> {
public:
    static constexpr std::string_view category = "door";

    explicit Door(const Id& id) : AggregateRoot{id} {}
    void open() { raise(ItemShipped{1}); }
};

struct Stock {
    using Events = escqrs::EventList<ItemReceived>;

    void handle(const ItemReceived& event, const escqrs::EventContext& context)
    {
        pieces[ItemId::parse(context.stream.id())] += event.pieces;
    }

    std::map<ItemId, int> pieces;
};

} // namespace

TEST_CASE("natural key: an aggregate is saved, loaded and executed by its text")
{
    Store store;
    escqrs::RepositoryOptions options;
    options.snapshots = escqrs::SnapshotPolicy::every(2);
    const escqrs::Repository<InventoryItem, Store> items{store, options};
    InventoryItem item{InventoryItem::Id{"BOLT-M6"}};
    item.receive(10, InventoryItem::Id{"BOLT-5/16"});
    CHECK(items.save(item).stream.text() == "inventory_item-BOLT-M6");
    items.execute(InventoryItem::Id{"BOLT-M6"}, [](InventoryItem& found) { found.ship(3); });

    const auto found = items.get(InventoryItem::Id{"BOLT-M6"}); // from the snapshot
    CHECK(found.pieces() == 7);
    CHECK(found.id() == InventoryItem::Id{"BOLT-M6"});
    CHECK(found.version() == escqrs::StreamVersion{2});
    CHECK_FALSE(items.find(InventoryItem::Id{"BOLT-M8"}));
    CHECK_THROWS_AS(items.find(InventoryItem::Id{}), escqrs::InvalidIdentifier);
    STATIC_REQUIRE(std::is_same_v<InventoryItem::EventTypes, escqrs::EventList<ItemReceived, ItemShipped>>);
}

TEST_CASE("natural key: a test gives an item with its id, or with any")
{
    using escqrs::testing::given;
    given<InventoryItem>(ItemId{"NUT"}, ItemReceived{5, {}})
        .when([](InventoryItem& item) { item.ship(2); })
        .then(ItemShipped{2});
    given<InventoryItem>(ItemReceived{1, {}})
        .when([](InventoryItem& item) { item.ship(2); })
        .then_throws<std::domain_error>();
    given<OrderedItem>(ItemId{"NUT"}, ItemShipped{1}).when(Order{ItemId{"NUT"}, 4}).then(ItemShipped{4});
}

TEST_CASE("natural key: a read model finds the text in the stream")
{
    using escqrs::testing::in_stream;
    Stock stock;
    escqrs::testing::given(in_stream("inventory_item", "NUT-M6"), ItemReceived{5, {}}, ItemReceived{1, {}})
        .projected_by(stock)
        .then([](const Stock& found) { return found.pieces.at(ItemId{"NUT-M6"}); }, 6);
}

TEST_CASE("natural key: a decider names the type of its id, and a composition has that of its parts")
{
    Store store;
    const escqrs::Repository<escqrs::Decided<OrderedItem>, Store> orders{store};
    const escqrs::Repository<escqrs::Decided<Composed>, Store> composed{store};
    escqrs::CommandBus bus;
    bus.handle(escqrs::decided_by(orders, &Order::item));
    CHECK(bus.send(Order{ItemId{"BOLT-M6"}, 4}).stream.text() == "ordered_item-BOLT-M6");
    CHECK(orders.get(ItemId{"BOLT-M6"}).state() == 4);

    escqrs::CommandBus other;
    other.handle(escqrs::decided_by(composed, &Order::item));
    CHECK(other.send(Order{ItemId{"BOLT-M6"}, 4}).stream.text() == "composed-BOLT-M6");
}

TEST_CASE("natural key: commands with the same text run in order")
{
    test::TaskQueue queue;
    escqrs::CommandBus bus;
    std::string orders;
    bus.handle<Order>([&](const Order& order) {
        orders += order.item.value() + std::to_string(order.pieces) + " ";
        return escqrs::CommitResult{{"ordered_item", order.item.value()}, {}, {}};
    });
    escqrs::CommandDispatcher dispatcher{bus, queue.executor()};
    dispatcher.in_order_by(&Order::item);
    const auto first = dispatcher.send(Order{ItemId{"NUT"}, 1});
    const auto second = dispatcher.send(Order{ItemId{"NUT"}, 2});
    const auto third = dispatcher.send(Order{ItemId{"BOLT-M6"}, 3});
    CHECK(dispatcher.busy_keys() == 2);
    queue.run_all();
    CHECK(orders == "NUT1 BOLT-M63 NUT2 ");
}

TEST_CASE("natural key: an aggregate may name a UUID as well")
{
    Store store;
    const escqrs::Repository<Door, Store> doors{store};
    const auto id = DoorId::parse("123e4567-e89b-12d3-a456-426614174000");
    doors.execute_or_begin(id, [](Door& door) { door.open(); });
    CHECK(doors.get(id).version() == escqrs::StreamVersion{1});
}
