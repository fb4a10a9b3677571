// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/codec.hpp>
#include <escqrs/domain.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

// The event whose bytes docs/serialization.md explains, and which tests/codec/readers read in other languages.
namespace order {

using escqrs::field;

enum class Delivery : std::uint8_t { post = 0, pickup = 1 };

struct OrderLine {
    std::string article;
    std::uint32_t quantity = 0;
    std::int64_t cents = 0;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & field("article", article) & field("quantity", quantity) & field("cents", cents);
    }
    friend bool operator==(const OrderLine&, const OrderLine&) = default;
};

struct Card {
    std::string last_digits;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & field("lastDigits", last_digits);
    }
    friend bool operator==(const Card&, const Card&) = default;
};

struct OrderPlaced {
    static constexpr std::string_view event_name = "OrderPlaced";

    escqrs::Id<class Order> order;
    std::string customer;
    Delivery delivery = Delivery::post;
    std::vector<OrderLine> lines;
    std::optional<std::string> note;
    std::variant<std::monostate, Card> payment; // nothing: on invoice
    std::chrono::minutes open_for{};
    std::chrono::sys_time<std::chrono::microseconds> placed_at{};

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & field("order", order) & field("customer", customer) & field("delivery", delivery);
        archive & field("lines", lines) & field("note", note) & field("payment", payment);
        archive & field("openFor", open_for) & field("placedAt", placed_at);
    }
    friend bool operator==(const OrderPlaced&, const OrderPlaced&) = default;
};

class Order : public escqrs::AggregateRoot<Order, OrderPlaced> {
public:
    using Codec = escqrs::Codec<EventTypes, escqrs::archive::Json, escqrs::archive::Binary>;
    static constexpr std::string_view category = "order";

    explicit Order(const Id& id) : AggregateRoot{id} {}

    void place(OrderPlaced event) { raise(std::move(event)); }

private:
    friend escqrs::Access;
    void apply(const OrderPlaced& /*event*/) {}
};

inline OrderPlaced placed()
{
    OrderPlaced event;
    event.order = decltype(event.order)::parse("123e4567-e89b-12d3-a456-426614174000");
    event.customer = "Zoë";
    event.delivery = Delivery::pickup;
    event.lines = {{"BOLT-M6", 300, 4500}};
    event.payment = Card{"4242"};
    event.open_for = std::chrono::minutes{90};
    event.placed_at = decltype(event.placed_at){std::chrono::microseconds{1795428000123456}};
    return event;
}

} // namespace order
