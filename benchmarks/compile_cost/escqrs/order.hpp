// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/domain/aggregate_root.hpp>

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

// The orders of a shop: the domain of a service whose compile time is measured.
namespace shop {

struct OrderOpened {
    static constexpr std::string_view event_name = "OrderOpened";
    std::string customer;
    template <class Archive>
    void serialize(Archive& archive, unsigned)
    {
        archive & escqrs::field("customer", customer);
    }
};

struct ItemAdded {
    static constexpr std::string_view event_name = "ItemAdded";
    std::string article;
    std::uint32_t count = 0;
    std::int64_t price = 0; ///< of one, in cents
    template <class Archive>
    void serialize(Archive& archive, unsigned)
    {
        archive & escqrs::field("article", article) & escqrs::field("count", count) & escqrs::field("price", price);
    }
};

struct ItemRemoved {
    static constexpr std::string_view event_name = "ItemRemoved";
    std::string article;
    template <class Archive>
    void serialize(Archive& archive, unsigned)
    {
        archive & escqrs::field("article", article);
    }
};

struct AddressChanged {
    static constexpr std::string_view event_name = "AddressChanged";
    std::string street;
    std::string city;
    template <class Archive>
    void serialize(Archive& archive, unsigned)
    {
        archive & escqrs::field("street", street) & escqrs::field("city", city);
    }
};

struct OrderPlaced {
    static constexpr std::string_view event_name = "OrderPlaced";
    std::int64_t total = 0;
    template <class Archive>
    void serialize(Archive& archive, unsigned)
    {
        archive & escqrs::field("total", total);
    }
};

struct OrderPaid {
    static constexpr std::string_view event_name = "OrderPaid";
    std::string receipt;
    template <class Archive>
    void serialize(Archive& archive, unsigned)
    {
        archive & escqrs::field("receipt", receipt);
    }
};

struct OrderShipped {
    static constexpr std::string_view event_name = "OrderShipped";
    std::string parcel;
    template <class Archive>
    void serialize(Archive& archive, unsigned)
    {
        archive & escqrs::field("parcel", parcel);
    }
};

struct OrderCancelled {
    static constexpr std::string_view event_name = "OrderCancelled";
    std::string reason;
    template <class Archive>
    void serialize(Archive& archive, unsigned)
    {
        archive & escqrs::field("reason", reason);
    }
};

struct OrderRefunded {
    static constexpr std::string_view event_name = "OrderRefunded";
    std::int64_t amount = 0;
    template <class Archive>
    void serialize(Archive& archive, unsigned)
    {
        archive & escqrs::field("amount", amount);
    }
};

class Refused : public std::domain_error {
public:
    using std::domain_error::domain_error;
};

class Order : public escqrs::AggregateRoot<Order, OrderOpened, ItemAdded, ItemRemoved, AddressChanged, OrderPlaced,
                                           OrderPaid, OrderShipped, OrderCancelled, OrderRefunded> {
public:
    static constexpr std::string_view category = "order";

    explicit Order(const Id& id) : AggregateRoot{id} {}

    static Order open(const Id& id, std::string customer)
    {
        Order order{id};
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

private:
    friend escqrs::Access;
    enum class State : std::uint8_t { open, placed, paid, shipped, cancelled };

    void require(State state) const
    {
        if (state_ != state) throw Refused{"not in this state of the order"};
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

    State state_ = State::open;
    std::map<std::string, std::int64_t> items_; ///< what each article costs
    bool has_address_ = false;
    std::int64_t total_ = 0;
    std::int64_t paid_ = 0;
};

} // namespace shop
