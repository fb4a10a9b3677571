// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/codec/describe.hpp>
#include <escqrs/domain/aggregate_root.hpp>

#include <stdexcept>
#include <string>
#include <string_view>

struct Received {
    int pieces;
    ESCQRS_EVENT(Received, (pieces))
};

struct Shipped {
    int pieces;
    std::string customer;
    ESCQRS_EVENT(Shipped, (pieces, customer))
};

class Item : public escqrs::AggregateRoot<Item, escqrs::TextId<class Item>, Received, Shipped> {
public:
    static constexpr std::string_view category = "item";
    explicit Item(const Id& id) : AggregateRoot{id} {}

    void receive(int pieces) { raise(Received{pieces}); }

    void ship(int pieces, const std::string& customer)
    {
        if (pieces > in_stock_) throw std::domain_error{"only " + std::to_string(in_stock_) + " in stock"};
        raise(Shipped{pieces, customer});
    }

    int in_stock() const { return in_stock_; }

private:
    friend escqrs::Access;

    void apply(const Received& event) { in_stock_ += event.pieces; }
    void apply(const Shipped& event) { in_stock_ -= event.pieces; }

    int in_stock_ = 0;
};
