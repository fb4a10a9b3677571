// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/lending.hpp"

#include <escqrs/commands/decider_handler.hpp>
#include <escqrs/core/id_generator.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/testing/catch2.hpp>

#include <string>
#include <string_view>
#include <vector>

using namespace lending;
using Store = escqrs::in_memory::EventStore;
using Book = escqrs::Decided<Lending>;
using Books = escqrs::Repository<Book, Store>;

namespace {

const Book::Id book_id{escqrs::random_uuid()};

struct Counted {
    static constexpr std::string_view event_name = "Counted";

    template <class Archive>
    void serialize(Archive&, unsigned /*version*/)
    {
    }
};

struct Counter;
struct Count {
    escqrs::DeciderId<Counter> counter;
};

struct Counter {
    static constexpr std::string_view category = "counter";
    static constexpr unsigned snapshot_version = 1;
    static inline int evolved = 0; ///< how often evolve was called

    struct State {
        int count = 0;

        template <class Archive>
        void serialize(Archive& archive, unsigned /*version*/)
        {
            archive & count;
        }
    };
    using Events = escqrs::EventList<Counted>;

    static State initial() { return {}; }
    static Counted decide(const Count&, const State&) { return {}; }
    static State evolve(State state, const Counted&)
    {
        ++evolved;
        ++state.count;
        return state;
    }
};

} // namespace

TEST_CASE("decider handler: a command begins a stream, and later ones continue it")
{
    Store store;
    const Books books{store};
    escqrs::CommandBus bus;
    bus.handle(escqrs::decided_by(books, &Lend::book_id), escqrs::decided_by(books, &Return::book_id),
               escqrs::decided_by<Toggle>(books, [](const Toggle& command) { return command.book_id; }));

    CHECK(bus.send(Lend{book_id, "Ada"}).version == escqrs::StreamVersion{1});
    CHECK(bus.send(Return{book_id}).version == escqrs::StreamVersion{2});
    CHECK(bus.send(Toggle{book_id, "Bob"}).version == escqrs::StreamVersion{3});
    CHECK_THROWS_AS(bus.send(Lend{book_id, "Cleo"}), Refused);
    CHECK(books.get(book_id).state().reader == "Bob");
}

TEST_CASE("decider handler: a command that decides nothing stores nothing")
{
    Store store;
    const Books books{store};
    escqrs::CommandBus bus;
    bus.handle(escqrs::decided_by(books, &Return::book_id));
    CHECK(bus.send(Return{book_id}).version == escqrs::StreamVersion{});
    CHECK_FALSE(books.find(book_id));
}

TEST_CASE("decider handler: a repeated command id is not decided again")
{
    Store store;
    const Books books{store};
    escqrs::CommandBus bus;
    bus.handle(escqrs::decided_by(books, &Lend::book_id));
    escqrs::Metadata metadata;
    metadata.command_id = escqrs::CommandId{escqrs::random_uuid()};
    const auto first = bus.send(Lend{book_id, "Ada"}, metadata);
    CHECK(bus.send(Lend{book_id, "Ada"}, metadata) == first);
    CHECK(books.get(book_id).state().times_lent == 1);
}

TEST_CASE("decider handler: the commands of both parts of a composition go into one stream")
{
    using Desks = escqrs::Repository<escqrs::Decided<Desk>, Store>;
    Store store;
    const Desks desks{store};
    const Desks::Id desk_id{book_id.value()};
    escqrs::CommandBus bus;
    bus.handle(escqrs::decided_by(desks, &Lend::book_id), escqrs::decided_by(desks, &Return::book_id),
               escqrs::decided_by<Enqueue>(desks, [&](const Enqueue&) { return desk_id; }));

    CHECK(bus.send(Lend{book_id, "Ada"}).stream.text() == "desk-" + to_string(book_id));
    CHECK(bus.send(Enqueue{{"Bob", "Cleo"}}).version == escqrs::StreamVersion{3});
    CHECK_THROWS_AS(bus.send(Lend{book_id, "Bob"}), Refused);
    CHECK(bus.send(Return{book_id}).version == escqrs::StreamVersion{4});
    const auto desk = desks.get(desk_id);
    CHECK(Desk::state_of<Lending>(desk.state()).reader.empty());
    CHECK(Desk::state_of<Queue>(desk.state()) == std::vector<std::string>{"Bob", "Cleo"});

    std::vector<std::string> names;
    store.read_stream(Desks::stream_of(desk_id), escqrs::StreamVersion{1}, [&](const escqrs::RecordedEvent& event) {
        names.emplace_back(event.type);
        return true;
    });
    CHECK(names == std::vector<std::string>{"BookLent", "ReaderQueued", "ReaderQueued", "BookReturned"});
}

TEST_CASE("decider handler: snapshots are kept of a decider that names their version")
{
    Store store;
    escqrs::RepositoryOptions options;
    options.snapshots = escqrs::SnapshotPolicy::every(2);
    const escqrs::Repository<escqrs::Decided<Counter>, Store> counters{store, options};
    const escqrs::DeciderId<Counter> id{escqrs::random_uuid()};
    escqrs::CommandBus bus;
    bus.handle(escqrs::decided_by(counters, &Count::counter));
    for (int time = 0; time < 3; ++time) bus.send(Count{id});

    Counter::evolved = 0;
    CHECK(counters.get(id).state().count == 3);
    CHECK(Counter::evolved == 1); // the third event; two are in the snapshot
}
