// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// A service in one file: nine commands, an event store in SQLite, and two read models.
#include "order.hpp"

#include <escqrs/commands/command_bus.hpp>
#include <escqrs/commands/middleware/deduplication.hpp>
#include <escqrs/commands/middleware/retry_on_conflict.hpp>
#include <escqrs/commands/middleware/validation.hpp>
#include <escqrs/commands/repository.hpp>
#include <escqrs/projections/projection.hpp>
#include <escqrs/sqlite/checkpoint.hpp>
#include <escqrs/sqlite/event_store.hpp>

#include <cstdint>
#include <filesystem>
#include <iostream>
#include <string>

using namespace shop;
namespace sqlite = escqrs::sqlite;

namespace {

struct OpenOrder {
    Order::Id order;
    std::string customer;
};
struct AddItem {
    Order::Id order;
    std::string article;
    std::uint32_t count;
    std::int64_t price;
};
struct RemoveItem {
    Order::Id order;
    std::string article;
};
struct ChangeAddress {
    Order::Id order;
    std::string street;
    std::string city;
};
struct PlaceOrder {
    Order::Id order;
};
struct PayOrder {
    Order::Id order;
    std::string receipt;
};
struct ShipOrder {
    Order::Id order;
    std::string parcel;
};
struct CancelOrder {
    Order::Id order;
    std::string reason;
};
struct RefundOrder {
    Order::Id order;
};

void check_customer(const OpenOrder& command)
{
    if (command.customer.empty()) throw Refused{"who orders?"};
}

using Orders = escqrs::Repository<Order, sqlite::EventStore>;

void add_handlers(escqrs::CommandBus& bus, const Orders& orders)
{
    using escqrs::Metadata;
    bus.handle<OpenOrder>([&](const OpenOrder& command, const Metadata& metadata) {
        Order order = Order::open(command.order, command.customer);
        return orders.save(order, metadata);
    });
    bus.handle<AddItem>([&](const AddItem& command, const Metadata& metadata) {
        const auto add = [&](Order& order) { order.add(command.article, command.count, command.price); };
        return orders.execute(command.order, add, metadata);
    });
    bus.handle<RemoveItem>([&](const RemoveItem& command, const Metadata& metadata) {
        return orders.execute(
            command.order, [&](Order& order) { order.remove(command.article); }, metadata);
    });
    bus.handle<ChangeAddress>([&](const ChangeAddress& command, const Metadata& metadata) {
        const auto change = [&](Order& order) { order.send_to(command.street, command.city); };
        return orders.execute(command.order, change, metadata);
    });
    bus.handle<PlaceOrder>([&](const PlaceOrder& command, const Metadata& metadata) {
        return orders.execute(
            command.order, [](Order& order) { order.place(); }, metadata);
    });
    bus.handle<PayOrder>([&](const PayOrder& command, const Metadata& metadata) {
        return orders.execute(
            command.order, [&](Order& order) { order.pay(command.receipt); }, metadata);
    });
    bus.handle<ShipOrder>([&](const ShipOrder& command, const Metadata& metadata) {
        return orders.execute(
            command.order, [&](Order& order) { order.ship(command.parcel); }, metadata);
    });
    bus.handle<CancelOrder>([&](const CancelOrder& command, const Metadata& metadata) {
        return orders.execute(
            command.order, [&](Order& order) { order.cancel(command.reason); }, metadata);
    });
    bus.handle<RefundOrder>([&](const RefundOrder& command, const Metadata& metadata) {
        return orders.execute(
            command.order, [](Order& order) { order.refund(); }, metadata);
    });
}

/// What waits to be packed.
class Waiting {
public:
    using Events = escqrs::EventList<OrderOpened, AddressChanged, OrderPaid, OrderShipped, OrderCancelled>;

    explicit Waiting(sqlite::Database& database) : database_{&database} {}

    void handle(const OrderOpened& event, const escqrs::EventContext& context)
    {
        insert_.run(context.stream.text(), event.customer);
    }
    void handle(const AddressChanged& event, const escqrs::EventContext& context)
    {
        address_.run(context.stream.text(), event.street + ", " + event.city);
    }
    void handle(const OrderPaid&, const escqrs::EventContext& context) { paid_.run(context.stream.text()); }
    void handle(const OrderShipped&, const escqrs::EventContext& context) { remove_.run(context.stream.text()); }
    void handle(const OrderCancelled&, const escqrs::EventContext& context) { remove_.run(context.stream.text()); }
    void clear() { database_->execute("DELETE FROM waiting"); }

private:
    sqlite::Database* database_;
    sqlite::Statement insert_{*database_, "INSERT INTO waiting VALUES (?1, ?2, '', 0)"};
    sqlite::Statement address_{*database_, "UPDATE waiting SET address = ?2 WHERE id = ?1"};
    sqlite::Statement paid_{*database_, "UPDATE waiting SET is_paid = 1 WHERE id = ?1"};
    sqlite::Statement remove_{*database_, "DELETE FROM waiting WHERE id = ?1"};
};

/// How often each article was ordered.
class Articles {
public:
    using Events = escqrs::EventList<ItemAdded>;

    explicit Articles(sqlite::Database& database) : database_{&database} {}

    void handle(const ItemAdded& event, const escqrs::EventContext&) { add_.run(event.article, event.count); }
    void clear() { database_->execute("DELETE FROM articles"); }

private:
    sqlite::Database* database_;
    sqlite::Statement add_{*database_,
                           "INSERT INTO articles VALUES (?1, ?2) ON CONFLICT DO UPDATE SET ordered = ordered + ?2"};
};

sqlite::Database& with_tables(sqlite::Database& database)
{
    database.execute("CREATE TABLE waiting (id TEXT PRIMARY KEY, customer TEXT, address TEXT, is_paid INTEGER);"
                     "CREATE TABLE articles (article TEXT PRIMARY KEY, ordered INTEGER)");
    return database;
}

} // namespace

int main()
{
    for (const char* file : {"shop.db", "shop_views.db"}) {
        for (const char* part : {"", "-wal", "-shm"}) std::filesystem::remove(std::string{file} + part);
    }
    sqlite::EventStore store{"shop.db"};
    const Orders orders{store};
    escqrs::CommandBus bus;
    bus.use(escqrs::validation<OpenOrder>(check_customer));
    bus.use(escqrs::deduplication(orders));
    bus.use(escqrs::retry_on_conflict());
    add_handlers(bus, orders);

    sqlite::Database database{"shop_views.db"};
    with_tables(database);
    Waiting waiting{database};
    Articles articles{database};
    sqlite::Checkpoint waiting_checkpoint{database, "waiting"};
    sqlite::Checkpoint articles_checkpoint{database, "articles"};
    escqrs::Projection waiting_projection{store, waiting_checkpoint, waiting};
    escqrs::Projection articles_projection{store, articles_checkpoint, articles};

    const Order::Id id = Order::Id::parse("00000000-0000-4000-8000-000000000001");
    try {
        bus.send(OpenOrder{id, "Ada"});
        bus.send(AddItem{id, "lamp", 2, 4900});
        bus.send(AddItem{id, "bulb", 4, 300});
        bus.send(RemoveItem{id, "lamp"});
        bus.send(ChangeAddress{id, "12 St James's Square", "London"});
        bus.send(PlaceOrder{id});
        bus.send(PayOrder{id, "receipt 1"});
        waiting_projection.catch_up();
        articles_projection.catch_up();
        sqlite::Statement select{database, "SELECT customer, address, is_paid FROM waiting"};
        for (auto rows = select.query(); rows.next();) std::cout << rows.text(0) << ": " << rows.text(1) << '\n';
        bus.send(CancelOrder{id, "changed her mind"});
        bus.send(RefundOrder{id});
        bus.send(ShipOrder{id, "parcel 1"});
    } catch (const Refused& error) {
        std::cout << error.what() << '\n';
    }
}
