// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// An aggregate, a decider or handlers name their Evolution once, and all that reads their events goes by it.
#include <escqrs/codec/archive/json.hpp>
#include <escqrs/codec/upcasting.hpp>
#include <escqrs/commands/repository.hpp>
#include <escqrs/domain/aggregate_root.hpp>
#include <escqrs/domain/decider.hpp>
#include <escqrs/in_memory/checkpoint.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/in_memory/parking_lot.hpp>
#include <escqrs/messaging/cloud_events.hpp>
#include <escqrs/projections/projection.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/catch2_scenario.hpp>
#include <escqrs/testing/given_when_then.hpp>
#include <escqrs/testing/golden.hpp>

#include <filesystem>

using namespace escqrs;

namespace {

/// Their bytes are those of `Received`, and mean twelve times as much.
struct ReceivedV0 {
    static constexpr std::string_view event_name = "Received";
    int dozens = 0;
    void serialize(auto& archive, unsigned /*version*/) { archive & field("count", dozens); }
};

struct Received {
    static constexpr std::string_view event_name = "Received";
    static constexpr unsigned schema_version = 1;
    int pieces = 0;
    void serialize(auto& archive, unsigned /*version*/) { archive & field("count", pieces); }
};

/// Stored as `Gone` once.
struct Shipped {
    static constexpr std::string_view event_name = "Shipped";
    int pieces = 0;
    void serialize(auto& archive, unsigned /*version*/) { archive & field("count", pieces); }
};

struct Counted {
    static constexpr std::string_view event_name = "Counted";
    void serialize(auto& /*archive*/, unsigned /*version*/) {}
};

Received in_pieces(const ReceivedV0& old) { return {12 * old.dozens}; }

class Item : public AggregateRoot<Item, Received, Shipped> {
public:
    static constexpr std::string_view category = "item";
    static constexpr unsigned snapshot_version = 1;
    using Events = Evolution<EventTypes, Upcast<in_pieces>, Rename<"Gone", Shipped>>;

    explicit Item(const Id& id) : AggregateRoot{id} {}

    void ship(int pieces)
    {
        if (pieces > stock) throw std::runtime_error{"only " + std::to_string(stock) + " left"};
        raise(Shipped{pieces});
    }

    void apply(const Received& event) { stock += event.pieces; }
    void apply(const Shipped& event) { stock -= event.pieces; }
    void serialize(auto& archive, unsigned /*version*/) { archive & field("stock", stock); }

    int stock = 0;
};

struct Stock {
    using Events = Item::Events;
    void handle(const Received& event, const EventContext&) { pieces += event.pieces; }
    void handle(const Shipped& event, const EventContext&) { pieces -= event.pieces; }
    void clear() { pieces = 0; }

    int pieces = 0;
};

/// Handles only some of the events, read as the aggregate reads them.
struct ShippedOnly {
    using Events = EventList<Shipped>;
    using Codec = CodecOf<Item>;
    void handle(const Shipped& event, const EventContext&) { pieces += event.pieces; }
    void clear() { pieces = 0; }

    int pieces = 0;
};

struct Ship {
    int pieces = 0;
};

/// The same as a decider.
struct Shelf {
    static constexpr std::string_view category = "item";
    using State = int;
    using Events = Evolution<EventList<Received, Shipped>, Upcast<in_pieces>, Rename<"Gone", Shipped>>;

    static State initial() { return 0; }
    static Shipped decide(const Ship& command, const State&) { return {command.pieces}; }
    static State evolve(State state, const Received& event) { return state + event.pieces; }
    static State evolve(State state, const Shipped& event) { return state - event.pieces; }
};

struct Counting {
    static constexpr std::string_view category = "counting";
    using State = int;
    using Events = EventList<Counted>;

    static State initial() { return 0; }
    static State evolve(State state, const Counted&) { return state + 1; }
};

struct Hall : Compose<Counting, Shelf> {
    static constexpr std::string_view category = "item";
};

const Item::Id id = Item::Id::parse("00000000-0000-4000-8000-000000000001");

/// What the first release left in the store: 24 pieces received, 4 shipped.
class OldStore : public in_memory::EventStore {
public:
    OldStore()
    {
        add(ReceivedV0{2}, ReceivedV0::event_name);
        add(Shipped{4}, "Gone");
    }

private:
    template <class E>
    void add(const E& event, std::string_view name)
    {
        std::vector<std::byte> bytes;
        Codec<EventList<E>>{}.encode(event, bytes);
        const NewEvent stored{EventId{random_uuid()}, name, 0, archive::Binary::content_type, bytes, {}};
        append(StreamId{"item", id.value()}, ExpectedVersion::any(), std::span{&stored, 1});
    }
};

} // namespace

TEST_CASE("evolution: a repository reads by what the aggregate names, with snapshots and without", "[evolution]")
{
    const auto store = std::make_shared<OldStore>();
    CHECK(Repository<Item, in_memory::EventStore>{*store}.get(id).stock == 20);

    AnyEventStore any{store};
    RepositoryOptions options;
    options.snapshots = SnapshotPolicy::every(1);
    const Repository<Item> items{any, options};
    items.execute(id, [](Item& item) { item.ship(1); });
    CHECK(items.get(id).stock == 19);
}

TEST_CASE("evolution: a projection reads by what its handlers name", "[evolution]")
{
    OldStore store;
    in_memory::Checkpoint place;
    Stock stock;
    Projection projection{store, place, stock};
    projection.catch_up();
    CHECK(stock.pieces == 20);

    in_memory::Checkpoint with_lot;
    in_memory::ParkingLot lot;
    Stock parking;
    Projection with_parking{store, with_lot, lot, parking};
    with_parking.catch_up();
    CHECK(parking.pieces == 20);

    in_memory::Checkpoint other;
    ShippedOnly shipped;
    Projection some{store, other, shipped};
    some.catch_up();
    CHECK(shipped.pieces == 4);
}

TEST_CASE("evolution: a decider and a composition name it as well", "[evolution]")
{
    OldStore store;
    CHECK(Repository<Decided<Shelf>, in_memory::EventStore>{store}.get(DeciderId<Shelf>{id.value()}).state() == 20);
    const Repository<Decided<Hall>, in_memory::EventStore> halls{store};
    CHECK(Hall::state_of<Shelf>(halls.get(DeciderId<Hall>{id.value()}).state()) == 20);
}

TEST_CASE("evolution: a message is decoded by it", "[evolution]")
{
    OldStore store;
    CloudEvents<Item> cloud_events{"/test"};
    int stock = 0;
    store.read_log(GlobalPosition{}, 10, [&](const RecordedEvent& event) {
        cloud_events.decode(cloud_events(event), [&](const auto& decoded, const EventContext&) {
            Item item{id};
            item.apply(decoded);
            stock += item.stock;
        });
        return true;
    });
    CHECK(stock == 20);
}

TEST_CASE("evolution: a test may begin with events of an older shape", "[evolution]")
{
    testing::given<Item>(ReceivedV0{1}, Shipped{4})
        .when([](Item& item) { item.ship(9); })
        .then_throws<std::runtime_error>("only 8 left");
    testing::given<Shelf>(ReceivedV0{1}).when(Ship{3}).then(Shipped{3});

    Stock stock;
    testing::given(testing::in_stream("item"), ReceivedV0{2}, Shipped{4}).projected_by(stock).then(&Stock::pieces, 20);
    ShippedOnly shipped;
    testing::given(testing::in_stream("item"), ReceivedV0{2}, Shipped{4}, Counted{})
        .projected_by(shipped)
        .then(&ShippedOnly::pieces, 4);
}

TEST_CASE("evolution: golden files are those of all shapes that the aggregate reads", "[evolution]")
{
    const auto complaints =
        testing::check_golden<Item>(std::filesystem::path{"no such folder"}, ReceivedV0{2}, Received{24}, Shipped{4});
    CHECK(std::ranges::count(complaints, "there is no golden file Received.0.json; to write it, run this test with "
                                         "ESCQRS_WRITE_GOLDEN=1") == 1);
}
