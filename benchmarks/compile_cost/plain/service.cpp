// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// The service of ../escqrs/service.cpp with nothing but SQLite's C interface: nine commands, a log, and two read models.
#include "order.hpp"

#include <sqlite3.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>

using namespace shop;

namespace {

class Database {
public:
    explicit Database(const char* path)
    {
        if (sqlite3_open(path, &connection_) != SQLITE_OK) throw std::runtime_error{sqlite3_errmsg(connection_)};
    }
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;
    ~Database() { sqlite3_close(connection_); }

    void execute(const char* sql)
    {
        if (sqlite3_exec(connection_, sql, nullptr, nullptr, nullptr) != SQLITE_OK)
            throw std::runtime_error{sqlite3_errmsg(connection_)};
    }
    sqlite3* get() { return connection_; }

private:
    sqlite3* connection_ = nullptr;
};

class Statement {
public:
    Statement(Database& database, const char* sql)
    {
        if (sqlite3_prepare_v2(database.get(), sql, -1, &statement_, nullptr) != SQLITE_OK)
            throw std::runtime_error{sqlite3_errmsg(database.get())};
    }
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;
    ~Statement() { sqlite3_finalize(statement_); }

    Statement& bind(int place, std::string_view text)
    {
        sqlite3_bind_text(statement_, place, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
        return *this;
    }
    Statement& bind(int place, std::int64_t number)
    {
        sqlite3_bind_int64(statement_, place, number);
        return *this;
    }
    bool step()
    {
        const int result = sqlite3_step(statement_);
        if (result != SQLITE_ROW && result != SQLITE_DONE)
            throw std::runtime_error{sqlite3_errmsg(sqlite3_db_handle(statement_))};
        return result == SQLITE_ROW;
    }
    void run()
    {
        step();
        sqlite3_reset(statement_);
    }
    std::string text(int column)
    {
        const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
        return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
    }
    std::int64_t integer(int column) { return sqlite3_column_int64(statement_, column); }

private:
    sqlite3_stmt* statement_ = nullptr;
};

const char* name_of(const Event& event)
{
    static const char* const names[] = {"OrderOpened",    "ItemAdded",      "ItemRemoved",
                                        "AddressChanged", "OrderPlaced",    "OrderPaid",
                                        "OrderShipped",   "OrderCancelled", "OrderRefunded"};
    return names[event.index()];
}

void put(std::string& bytes, std::int64_t number)
{
    bytes.append(reinterpret_cast<const char*>(&number), sizeof number);
}
void put(std::string& bytes, const std::string& text)
{
    put(bytes, static_cast<std::int64_t>(text.size()));
    bytes.append(text);
}

std::string encode(const Event& event)
{
    std::string bytes;
    switch (event.index()) {
    case 0: put(bytes, std::get<0>(event).customer); break;
    case 1:
        put(bytes, std::get<1>(event).article);
        put(bytes, std::int64_t{std::get<1>(event).count});
        put(bytes, std::get<1>(event).price);
        break;
    case 2: put(bytes, std::get<2>(event).article); break;
    case 3:
        put(bytes, std::get<3>(event).street);
        put(bytes, std::get<3>(event).city);
        break;
    case 4: put(bytes, std::get<4>(event).total); break;
    case 5: put(bytes, std::get<5>(event).receipt); break;
    case 6: put(bytes, std::get<6>(event).parcel); break;
    case 7: put(bytes, std::get<7>(event).reason); break;
    case 8: put(bytes, std::get<8>(event).amount); break;
    }
    return bytes;
}

struct Reader {
    std::string_view bytes;

    std::int64_t number()
    {
        std::int64_t value = 0;
        if (bytes.size() < sizeof value) throw std::out_of_range{"an event is too short"};
        std::memcpy(&value, bytes.data(), sizeof value);
        bytes.remove_prefix(sizeof value);
        return value;
    }
    std::string text()
    {
        const auto size = static_cast<std::size_t>(number());
        if (bytes.size() < size) throw std::out_of_range{"an event is too short"};
        std::string value{bytes.substr(0, size)};
        bytes.remove_prefix(size);
        return value;
    }
};

Event decode(const std::string& name, const std::string& bytes)
{
    Reader reader{bytes};
    if (name == "OrderOpened") return OrderOpened{reader.text()};
    if (name == "ItemAdded") {
        std::string article = reader.text();
        const auto count = static_cast<std::uint32_t>(reader.number());
        return ItemAdded{std::move(article), count, reader.number()};
    }
    if (name == "ItemRemoved") return ItemRemoved{reader.text()};
    if (name == "AddressChanged") {
        std::string street = reader.text();
        return AddressChanged{std::move(street), reader.text()};
    }
    if (name == "OrderPlaced") return OrderPlaced{reader.number()};
    if (name == "OrderPaid") return OrderPaid{reader.text()};
    if (name == "OrderShipped") return OrderShipped{reader.text()};
    if (name == "OrderCancelled") return OrderCancelled{reader.text()};
    if (name == "OrderRefunded") return OrderRefunded{reader.number()};
    throw std::runtime_error{"unknown event " + name};
}

class Orders {
public:
    explicit Orders(Database& database) : database_{&database} {}

    Order load(const std::string& id)
    {
        Statement select{*database_, "SELECT type, payload FROM events WHERE stream = ?1 ORDER BY version"};
        select.bind(1, id);
        Order order{id};
        while (select.step()) order.replay(decode(select.text(0), select.text(1)));
        return order;
    }

    void save(const Order& order)
    {
        database_->execute("BEGIN IMMEDIATE");
        try {
            std::int64_t version = order.version();
            for (const Event& event : order.raised()) {
                Statement insert{*database_,
                                 "INSERT INTO events (stream, version, type, payload) VALUES (?1, ?2, ?3, ?4)"};
                insert.bind(1, order.id()).bind(2, ++version).bind(3, name_of(event)).bind(4, encode(event)).run();
            }
            database_->execute("COMMIT");
        } catch (...) {
            database_->execute("ROLLBACK");
            throw;
        }
    }

private:
    Database* database_;
};

struct OpenOrder {
    std::string order;
    std::string customer;
};
struct AddItem {
    std::string order;
    std::string article;
    std::uint32_t count;
    std::int64_t price;
};
struct RemoveItem {
    std::string order;
    std::string article;
};
struct ChangeAddress {
    std::string order;
    std::string street;
    std::string city;
};
struct PlaceOrder {
    std::string order;
};
struct PayOrder {
    std::string order;
    std::string receipt;
};
struct ShipOrder {
    std::string order;
    std::string parcel;
};
struct CancelOrder {
    std::string order;
    std::string reason;
};
struct RefundOrder {
    std::string order;
};

class Desk {
public:
    explicit Desk(Orders& orders) : orders_{&orders} {}

    void handle(const OpenOrder& command)
    {
        if (command.customer.empty()) throw Refused{"who orders?"};
        orders_->save(Order::open(command.order, command.customer));
    }
    void handle(const AddItem& command)
    {
        Order order = orders_->load(command.order);
        order.add(command.article, command.count, command.price);
        orders_->save(order);
    }
    void handle(const RemoveItem& command)
    {
        Order order = orders_->load(command.order);
        order.remove(command.article);
        orders_->save(order);
    }
    void handle(const ChangeAddress& command)
    {
        Order order = orders_->load(command.order);
        order.send_to(command.street, command.city);
        orders_->save(order);
    }
    void handle(const PlaceOrder& command)
    {
        Order order = orders_->load(command.order);
        order.place();
        orders_->save(order);
    }
    void handle(const PayOrder& command)
    {
        Order order = orders_->load(command.order);
        order.pay(command.receipt);
        orders_->save(order);
    }
    void handle(const ShipOrder& command)
    {
        Order order = orders_->load(command.order);
        order.ship(command.parcel);
        orders_->save(order);
    }
    void handle(const CancelOrder& command)
    {
        Order order = orders_->load(command.order);
        order.cancel(command.reason);
        orders_->save(order);
    }
    void handle(const RefundOrder& command)
    {
        Order order = orders_->load(command.order);
        order.refund();
        orders_->save(order);
    }

private:
    Orders* orders_;
};

/// Shows the events after a read model's checkpoint, in one transaction.
template <class ReadModel>
void catch_up(Database& log, Database& database, const char* name, ReadModel& model)
{
    database.execute("BEGIN IMMEDIATE");
    try {
        Statement position{database, "SELECT coalesce(max(position), 0) FROM checkpoints WHERE name = ?1"};
        position.bind(1, name).step();
        Statement select{log,
                         "SELECT position, stream, type, payload FROM events WHERE position > ?1 ORDER BY position"};
        select.bind(1, position.integer(0));
        std::int64_t reached = position.integer(0);
        while (select.step()) {
            model.handle(select.text(1), decode(select.text(2), select.text(3)));
            reached = select.integer(0);
        }
        Statement{database, "INSERT OR REPLACE INTO checkpoints VALUES (?1, ?2)"}.bind(1, name).bind(2, reached).run();
        database.execute("COMMIT");
    } catch (...) {
        database.execute("ROLLBACK");
        throw;
    }
}

class Waiting {
public:
    explicit Waiting(Database& database) : database_{&database} {}

    void handle(const std::string& order, const Event& event)
    {
        if (const auto* opened = std::get_if<OrderOpened>(&event))
            insert_.bind(1, order).bind(2, opened->customer).run();
        else if (const auto* moved = std::get_if<AddressChanged>(&event))
            address_.bind(1, order).bind(2, moved->street + ", " + moved->city).run();
        else if (std::holds_alternative<OrderPaid>(event)) paid_.bind(1, order).run();
        else if (std::holds_alternative<OrderShipped>(event) || std::holds_alternative<OrderCancelled>(event))
            remove_.bind(1, order).run();
    }

private:
    Database* database_;
    Statement insert_{*database_, "INSERT INTO waiting VALUES (?1, ?2, '', 0)"};
    Statement address_{*database_, "UPDATE waiting SET address = ?2 WHERE id = ?1"};
    Statement paid_{*database_, "UPDATE waiting SET is_paid = 1 WHERE id = ?1"};
    Statement remove_{*database_, "DELETE FROM waiting WHERE id = ?1"};
};

class Articles {
public:
    explicit Articles(Database& database) : database_{&database} {}

    void handle(const std::string&, const Event& event)
    {
        if (const auto* added = std::get_if<ItemAdded>(&event))
            add_.bind(1, added->article).bind(2, added->count).run();
    }

private:
    Database* database_;
    Statement add_{*database_, "INSERT INTO articles VALUES (?1, ?2) ON CONFLICT DO UPDATE SET ordered = ordered + ?2"};
};

} // namespace

int main()
{
    for (const char* file : {"plain_shop.db", "plain_shop_views.db"}) std::filesystem::remove(file);
    Database log{"plain_shop.db"};
    log.execute(
        "CREATE TABLE events (position INTEGER PRIMARY KEY, stream TEXT, version INTEGER, type TEXT, payload BLOB, "
        "UNIQUE (stream, version))");
    Orders orders{log};
    Desk desk{orders};

    Database database{"plain_shop_views.db"};
    database.execute("CREATE TABLE waiting (id TEXT PRIMARY KEY, customer TEXT, address TEXT, is_paid INTEGER);"
                     "CREATE TABLE articles (article TEXT PRIMARY KEY, ordered INTEGER);"
                     "CREATE TABLE checkpoints (name TEXT PRIMARY KEY, position INTEGER)");
    Waiting waiting{database};
    Articles articles{database};

    const std::string id = "order-00000000-0000-4000-8000-000000000001";
    try {
        desk.handle(OpenOrder{id, "Ada"});
        desk.handle(AddItem{id, "lamp", 2, 4900});
        desk.handle(AddItem{id, "bulb", 4, 300});
        desk.handle(RemoveItem{id, "lamp"});
        desk.handle(ChangeAddress{id, "12 St James's Square", "London"});
        desk.handle(PlaceOrder{id});
        desk.handle(PayOrder{id, "receipt 1"});
        catch_up(log, database, "waiting", waiting);
        catch_up(log, database, "articles", articles);
        Statement select{database, "SELECT customer, address, is_paid FROM waiting"};
        while (select.step()) std::cout << select.text(0) << ": " << select.text(1) << '\n';
        desk.handle(CancelOrder{id, "changed her mind"});
        desk.handle(RefundOrder{id});
        desk.handle(ShipOrder{id, "parcel 1"});
    } catch (const Refused& error) {
        std::cout << error.what() << '\n';
    }
}
