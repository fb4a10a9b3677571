// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: the category of an aggregate whose ids are texts has at most 31 bytes
#include <escqrs/commands/repository.hpp>

#include <string_view>

struct ItemReceived {
    static constexpr std::string_view event_name = "ItemReceived";
    template <class Archive>
    void serialize(Archive&, unsigned)
    {
    }
};

class Item : public escqrs::AggregateRoot<Item, escqrs::TextId<Item>, escqrs::NoStateChange<ItemReceived>> {
public:
#ifdef OFFENDING
    static constexpr std::string_view category = "an_item_that_lies_in_a_store_room";
#else
    static constexpr std::string_view category = "an_item_that_lies_in_a_store___";
#endif
    explicit Item(const Id& id) : AggregateRoot{id} {}
};

void use(const escqrs::Repository<Item>&) {}
bool load(const escqrs::Repository<Item>& items) { return items.find(Item::Id{"bolt"}).has_value(); }
