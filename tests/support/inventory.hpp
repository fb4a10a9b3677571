// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/text_id.hpp>
#include <escqrs/domain/aggregate_root.hpp>
#include <escqrs/domain/decider.hpp>

#include <stdexcept>
#include <string_view>

// A small domain for tests of the library: items of a store room, whose ids are texts.
namespace inventory {

using ItemId = escqrs::TextId<class InventoryItem>;

struct ItemReceived {
    static constexpr std::string_view event_name = "ItemReceived";
    int pieces = 0;
    ItemId replaces; ///< the item that this one takes the place of; none: no other

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("pieces", pieces);
        archive & escqrs::field("replaces", replaces);
    }
    friend bool operator==(const ItemReceived&, const ItemReceived&) = default;
};

struct ItemShipped {
    static constexpr std::string_view event_name = "ItemShipped";
    int pieces = 0;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("pieces", pieces);
    }
    friend bool operator==(const ItemShipped&, const ItemShipped&) = default;
};

class InventoryItem : public escqrs::AggregateRoot<InventoryItem, ItemId, ItemReceived, ItemShipped> {
public:
    static constexpr std::string_view category = "inventory_item";
    static constexpr unsigned snapshot_version = 1;

    explicit InventoryItem(const Id& id) : AggregateRoot{id} {}

    void receive(int pieces, const Id& replaces = {}) { raise(ItemReceived{pieces, replaces}); }
    /// @throws std::domain_error if there are not as many pieces
    void ship(int pieces)
    {
        if (pieces > pieces_) throw std::domain_error{"not enough of " + to_string(id())};
        raise(ItemShipped{pieces});
    }

    int pieces() const noexcept { return pieces_; }

    void apply(const ItemReceived& event) { pieces_ += event.pieces; }
    void apply(const ItemShipped& event) { pieces_ -= event.pieces; }

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("pieces", pieces_);
    }

private:
    int pieces_ = 0;
};

/// Asks for pieces of an item; what an empty store room cannot give is owed.
struct Order {
    ItemId item;
    int pieces = 0;
    escqrs::ExpectedVersion expected = escqrs::ExpectedVersion::any();
};

/// The same items as a decider.
struct OrderedItem {
    static constexpr std::string_view category = "ordered_item";
    using Id = ItemId;
    using State = int;
    using Events = escqrs::EventList<ItemShipped>;

    static State initial() { return 0; }
    static ItemShipped decide(const Order& order, const State&) { return {order.pieces}; }
    static State evolve(State state, const ItemShipped& event) { return state + event.pieces; }
};

} // namespace inventory
