// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

// The orders of a shop with plain structs and functions: what the compile time of the same with escqrs is held against.
namespace shop {

struct OrderOpened {
    std::string customer;
    bool operator==(const OrderOpened&) const = default;
};
struct ItemAdded {
    std::string article;
    std::uint32_t count = 0;
    std::int64_t price = 0; ///< of one, in cents
    bool operator==(const ItemAdded&) const = default;
};
struct ItemRemoved {
    std::string article;
    bool operator==(const ItemRemoved&) const = default;
};
struct AddressChanged {
    std::string street;
    std::string city;
    bool operator==(const AddressChanged&) const = default;
};
struct OrderPlaced {
    std::int64_t total = 0;
    bool operator==(const OrderPlaced&) const = default;
};
struct OrderPaid {
    std::string receipt;
    bool operator==(const OrderPaid&) const = default;
};
struct OrderShipped {
    std::string parcel;
    bool operator==(const OrderShipped&) const = default;
};
struct OrderCancelled {
    std::string reason;
    bool operator==(const OrderCancelled&) const = default;
};
struct OrderRefunded {
    std::int64_t amount = 0;
    bool operator==(const OrderRefunded&) const = default;
};
using Event = std::variant<OrderOpened, ItemAdded, ItemRemoved, AddressChanged, OrderPlaced, OrderPaid, OrderShipped,
                           OrderCancelled, OrderRefunded>;

class Refused : public std::domain_error {
public:
    using std::domain_error::domain_error;
};

class Order {
public:
    explicit Order(std::string id) : id_{std::move(id)} {}

    static Order open(std::string id, std::string customer)
    {
        Order order{std::move(id)};
        order.raise(OrderOpened{std::move(customer)});
        return order;
    }

    void add(std::string article, std::uint32_t count, std::int64_t price)
    {
        require(State::open);
        if (count == 0) throw Refused{"none of " + article};
        raise(ItemAdded{std::move(article), count, price});
    }

    void remove(std::string article)
    {
        require(State::open);
        if (!items_.contains(article)) throw Refused{"no " + article + " in the order"};
        raise(ItemRemoved{std::move(article)});
    }

    void send_to(std::string street, std::string city)
    {
        if (state_ >= State::shipped) throw Refused{"too late for another address"};
        raise(AddressChanged{std::move(street), std::move(city)});
    }

    void place()
    {
        require(State::open);
        if (items_.empty()) throw Refused{"the order is empty"};
        if (!has_address_) throw Refused{"the order has no address"};
        std::int64_t total = 0;
        for (const auto& [article, price] : items_) total += price;
        raise(OrderPlaced{total});
    }

    void pay(std::string receipt)
    {
        require(State::placed);
        raise(OrderPaid{std::move(receipt)});
    }

    void ship(std::string parcel)
    {
        require(State::paid);
        raise(OrderShipped{std::move(parcel)});
    }

    void cancel(std::string reason)
    {
        if (state_ == State::cancelled) return;
        if (state_ >= State::shipped) throw Refused{"too late to cancel"};
        raise(OrderCancelled{std::move(reason)});
    }

    void refund()
    {
        if (state_ != State::cancelled || paid_ == 0) throw Refused{"nothing to refund"};
        raise(OrderRefunded{paid_});
    }

    void replay(const Event& event)
    {
        std::visit([this](const auto& typed) { apply(typed); }, event);
        ++version_;
    }

    const std::string& id() const { return id_; }
    std::int64_t version() const { return version_; } ///< of what is stored
    const std::vector<Event>& raised() const { return raised_; }

private:
    enum class State : std::uint8_t { open, placed, paid, shipped, cancelled };

    void require(State state) const
    {
        if (state_ != state) throw Refused{"not in this state of the order"};
    }

    template <class E>
    void raise(E event)
    {
        apply(event);
        raised_.emplace_back(std::move(event));
    }

    void apply(const OrderOpened&) {}
    void apply(const ItemAdded& event) { items_[event.article] += event.count * event.price; }
    void apply(const ItemRemoved& event) { items_.erase(event.article); }
    void apply(const AddressChanged&) { has_address_ = true; }
    void apply(const OrderPlaced& event)
    {
        state_ = State::placed;
        total_ = event.total;
    }
    void apply(const OrderPaid&)
    {
        state_ = State::paid;
        paid_ = total_;
    }
    void apply(const OrderShipped&) { state_ = State::shipped; }
    void apply(const OrderCancelled&) { state_ = State::cancelled; }
    void apply(const OrderRefunded&) { paid_ = 0; }

    std::string id_;
    std::int64_t version_ = 0;
    std::vector<Event> raised_;
    State state_ = State::open;
    std::map<std::string, std::int64_t> items_; ///< what each article costs
    bool has_address_ = false;
    std::int64_t total_ = 0;
    std::int64_t paid_ = 0;
};

} // namespace shop
