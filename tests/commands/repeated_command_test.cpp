// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/tally.hpp"

#include <escqrs/commands/repository.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/testing/catch2.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <latch>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

using namespace escqrs;
using tally::Amounts;
using tally::Tally;
using tally::with_command;
using Store = tally::WatchedStore;
using Tallies = Repository<Tally, Store>;

namespace {

RepositoryOptions with_snapshots()
{
    RepositoryOptions options;
    options.snapshots = SnapshotPolicy::every(1);
    return options;
}

/// A store, and repositories that keep snapshots and that do not.
struct Books {
    Store store;
    Tallies tallies{store, with_snapshots()};
    Tallies plain{store};

    Tally::Id filled(const Amounts& amounts)
    {
        Tally tally{new_id()};
        tally.add(amounts);
        plain.save(tally);
        return tally.id();
    }

    static Tally::Id new_id() { return Tally::Id{random_uuid()}; }

    /// What the events say, which the snapshot must say as well.
    Amounts stored(const Tally::Id& id) const
    {
        CHECK(tallies.get(id).amounts() == plain.get(id).amounts());
        return plain.get(id).amounts();
    }
};

std::optional<CommandIdRefused> refusal(const std::function<void()>& work)
{
    try {
        work();
    } catch (const CommandIdRefused& refused) {
        return refused;
    }
    return std::nullopt;
}

bool names(const std::optional<CommandIdRefused>& refused, const CommandId& command, const Tally::Id& id,
           const Tally::Id& stored_in)
{
    return refused && refused->command() == command && refused->stream() == Tallies::stream_of(id) &&
           refused->stored_in() == Tallies::stream_of(stored_in) &&
           std::string{refused->what()}.find(to_string(command)) != std::string::npos;
}

/// An aggregate with a part that cannot be assigned to.
class Fixed : public AggregateRoot<Fixed, tally::Added> {
public:
    static constexpr std::string_view category = "fixed";
    explicit Fixed(const Id& id) : AggregateRoot{id} {}
    void add(std::int64_t amount) { raise(tally::Added{amount}); }
    void apply(const tally::Added& event) { sum += event.amount; }
    std::int64_t sum = 0;
    const int kind = 1;
};

} // namespace

TEST_CASE("a save repeated with other events leaves nothing of them: in no snapshot, and not in the aggregate")
{
    Books books;
    const auto id = Books::new_id();
    const auto metadata = with_command();
    Tally first{id};
    first.add(1);
    const auto result = books.tallies.save(first, metadata);
    CHECK_FALSE(result.repeated);
    const auto go_on = GENERATE(false, true);
    if (go_on) books.tallies.execute(id, [](Tally& tally) { tally.add(2); });

    for (const Amounts& decided : {Amounts{10}, Amounts{1}, Amounts{10, 20}}) {
        Tally second{id};
        second.add(decided);
        const auto again = books.tallies.save(second, metadata);
        CHECK(again == result);
        CHECK(again.repeated);
        CHECK(second.uncommitted_events().empty());
        auto up_to_its_version = books.stored(id);
        up_to_its_version.resize(static_cast<std::size_t>(second.version().value()));
        CHECK(second.amounts() == up_to_its_version);
    }

    Tally third{id};
    third.add(10);
    books.tallies.save(third, metadata);
    third.add(100);
    books.tallies.save(third, with_command());
    CHECK(books.stored(id) == (go_on ? Amounts{1, 2, 100} : Amounts{1, 100}));
}

TEST_CASE("a duplicate that meets its first try gets the first result, whatever it decides on")
{
    Books books;
    const auto id = books.filled({5, 6});
    const auto metadata = with_command();
    std::optional<CommitResult> first;
    const auto meanwhile = [&] { // carries the command out elsewhere, on a newer state
        if (first) return;
        books.tallies.execute(id, [](Tally& tally) { tally.add(7); });
        first = books.tallies.execute(
            id, [](Tally& tally) { tally.take_all_back(); }, metadata);
    };
    const Amounts after{5, 6, 7, -5, -6, -7};

    SECTION("by execute")
    {
        const auto decided = GENERATE(Amounts{}, Amounts{-5}, Amounts{-5, -6}, Amounts{1, 2, 3}, Amounts{1, 2, 3, 4});
        const auto second = books.tallies.execute(
            id,
            [&](Tally& tally) {
                meanwhile();
                tally.add(decided);
            },
            metadata);
        CHECK(second == first);
        CHECK(second.repeated);
        CHECK(books.stored(id) == after);
    }
    SECTION("by save")
    {
        const auto decided = GENERATE(Amounts{-5}, Amounts{-5, -6}, Amounts{1, 2, 3}, Amounts{1, 2, 3, 4});
        auto tally = books.tallies.get(id);
        meanwhile();
        tally.add(decided);
        const auto second = books.tallies.save(tally, metadata);
        CHECK(second == first);
        CHECK(second.repeated);
        CHECK(tally.amounts() == after);
        CHECK(books.stored(id) == after);
    }
    CHECK_FALSE(first->repeated);
}

TEST_CASE("many duplicates on many threads that decide differently store one's events and get one result")
{
    in_memory::EventStore store;
    auto options = with_snapshots();
    options.retry.attempts = 1000;
    const Repository<Tally, in_memory::EventStore> tallies{store, options};
    const Repository<Tally, in_memory::EventStore> plain{store};
    const auto id = Books::new_id();
    constexpr std::size_t threads_count = 6;
    for (int round = 0; round < 30; ++round) {
        const auto metadata = with_command();
        const auto before = store.head().value();
        std::vector<std::optional<CommitResult>> results(threads_count);
        {
            std::latch start{threads_count};
            std::vector<escqrs::jthread> threads;
            for (std::size_t thread = 0; thread < threads_count; ++thread) {
                threads.emplace_back([&, thread] {
                    start.arrive_and_wait();
                    results[thread] = tallies.execute_or_begin(
                        id, [&](Tally& tally) { tally.add(Amounts(1 + thread % 3, 1)); }, metadata);
                });
            }
        }
        for (const auto& result : results) CHECK(result == results.front());
        CHECK(std::ranges::count(results, false, [](const auto& result) { return result->repeated; }) == 1);
        CHECK(results.front()->position == store.head());
        CHECK(store.head().value() <= before + 3);
    }
    CHECK(tallies.get(id).amounts() == plain.get(id).amounts());
}

TEST_CASE("a second change saved under one command id is refused, and can be saved under another")
{
    Books books;
    const auto metadata = with_command();
    const auto before = GENERATE(Amounts{}, Amounts{5});
    const auto change = GENERATE(Amounts{1}, Amounts{10}, Amounts{1, 1});
    Tally tally{Books::new_id()};
    if (!before.empty()) tally = books.tallies.get(books.filled(before));
    tally.add(1);
    books.tallies.save(tally, metadata);
    const auto in_between = GENERATE(false, true);
    if (in_between) {
        tally.add(2);
        books.tallies.save(tally, with_command());
    }
    const auto head = books.store.head();
    tally.add(change);
    CHECK(names(refusal([&] { books.tallies.save(tally, metadata); }), metadata.command_id, tally.id(), tally.id()));
    CHECK(books.store.head() == head);
    CHECK(tally.uncommitted_events().size() == change.size());

    const auto result = books.tallies.save(tally, with_command());
    CHECK_FALSE(result.repeated);
    CHECK(books.stored(tally.id()) == tally.amounts());
}

TEST_CASE("an aggregate that was saved by a repeat does not repeat again")
{
    Books books;
    const auto id = Books::new_id();
    const auto metadata = with_command();
    for (const std::int64_t amount : {1, 1, 10}) {
        Tally tally{id};
        tally.add(amount);
        books.tallies.save(tally, metadata);
        tally.add(1);
        CHECK(refusal([&] { books.tallies.save(tally, metadata); }));
    }
    CHECK(books.stored(id) == Amounts{1});
}

TEST_CASE("a change decided on a state that holds the command's events is a repeat if it is the same, else refused")
{
    Books books;
    const auto id = books.filled({5});
    const auto metadata = with_command();
    const auto load_and_save = [&](const Amounts& amounts) {
        auto tally = books.tallies.get(id);
        tally.add(amounts);
        return books.tallies.save(tally, metadata);
    };
    const auto first = load_and_save({1, 2});
    const auto again = load_and_save({1, 2});
    CHECK(again == first);
    CHECK(again.repeated);
    for (const Amounts& other : {Amounts{1}, Amounts{1, 3}, Amounts{1, 2, 3}}) {
        CHECK(names(refusal([&] { load_and_save(other); }), metadata.command_id, id, id));
    }
    CHECK(books.stored(id) == Amounts{5, 1, 2});
}

TEST_CASE("one command id on two aggregates is refused, and the error names both")
{
    Books books;
    const auto one = books.filled({5});
    const auto two = books.filled({6});
    const auto metadata = with_command();
    const auto add = [](Tally& tally) { tally.add({1, 2}); };
    const auto on_one = [&] { books.tallies.execute(one, add, metadata); };
    std::optional<CommandIdRefused> refused;
    SECTION("one after the other, by execute")
    {
        on_one();
        refused = refusal([&] { books.tallies.execute(two, add, metadata); });
    }
    SECTION("at the same time, by execute")
    {
        const auto decided = GENERATE(Amounts{}, Amounts{1}, Amounts{1, 2}, Amounts{1, 2, 3});
        refused = refusal([&] {
            books.tallies.execute(
                two,
                [&](Tally& tally) {
                    on_one();
                    tally.add(decided);
                },
                metadata);
        });
    }
    SECTION("by execute_or_begin")
    {
        on_one();
        refused = refusal([&] { books.tallies.execute_or_begin(two, add, metadata); });
    }
    SECTION("by save")
    {
        const auto decided = GENERATE(Amounts{1}, Amounts{1, 2}, Amounts{1, 2, 3});
        on_one();
        auto tally = books.tallies.get(two);
        tally.add(decided);
        refused = refusal([&] { books.tallies.save(tally, metadata); });
    }
    CHECK(names(refused, metadata.command_id, two, one));
    CHECK(books.stored(one) == Amounts{5, 1, 2});
    CHECK(books.stored(two) == Amounts{6});
    CHECK(books.store.head() == GlobalPosition{4});
}

TEST_CASE("what a command has stored is found in its stream")
{
    Books books;
    const auto one = books.filled({5});
    const auto two = books.filled({6});
    const auto metadata = with_command();
    CHECK_FALSE(books.tallies.find_commit(one, metadata.command_id));
    const auto first = books.tallies.execute(
        one,
        [](Tally& tally) {
            tally.add({1, 2});
        },
        metadata);
    books.tallies.execute(
        one, [](Tally& tally) { tally.add(3); }, with_command());
    CHECK(books.tallies.find_commit(metadata.command_id) == first);
    CHECK(books.tallies.find_commit(metadata.command_id)->repeated);
    CHECK(books.tallies.find_commit(one, metadata.command_id) == first);
    CHECK(names(refusal([&] { books.tallies.find_commit(two, metadata.command_id); }), metadata.command_id, two, one));
    CHECK_FALSE(books.tallies.find_commit(one, CommandId{}));
}

TEST_CASE("after a save whose answer was lost, the aggregate is what the log holds")
{
    Books books;
    Tally tally{Books::new_id()};
    const auto metadata = GENERATE(Metadata{}, with_command());
    tally.add(1);
    books.store.answers_to_lose = 1;
    CHECK_THROWS_AS(books.tallies.save(tally, metadata), StoreError);

    SECTION("saved again")
    {
        CHECK(books.tallies.save(tally, metadata).version == StreamVersion{1});
        tally.add(2);
        books.tallies.save(tally, with_command());
        CHECK(books.stored(tally.id()) == Amounts{1, 2});
    }
    SECTION("saved again with more events: these are not taken for stored")
    {
        tally.add(2);
        CHECK_THROWS_AS(books.tallies.save(tally, metadata), Error);
        CHECK(books.stored(tally.id()) == Amounts{1});
    }
    SECTION("saved again under another command id: events of one command are not stored as another's")
    {
        const auto other = with_command();
        const auto refused = refusal([&] { books.tallies.save(tally, other); });
        REQUIRE(refused);
        CHECK(refused->command() == other.command_id);
        CHECK_FALSE(refused->stored_in());
        CHECK_FALSE(books.tallies.find_commit(other.command_id));
        CHECK(books.tallies.save(tally, metadata).version == StreamVersion{1});
    }
}

TEST_CASE("ids that a generator draws twice are no repeat")
{
    Books books;
    RepositoryOptions options;
    const auto drawn = random_uuid();
    options.ids = [&] { return drawn; };
    const Tallies tallies{books.store, options};
    Tally tally{Books::new_id()};
    tally.add(1);
    tallies.save(tally);
    tally.add(1);
    CHECK_THROWS_AS(tallies.save(tally), DuplicateEventId);
    Tally another{tally.id()};
    another.add(2);
    CHECK_THROWS_AS(tallies.save(another), DuplicateEventId);
    CHECK(tallies.get(tally.id()).amounts() == Amounts{1});
}

TEST_CASE("an aggregate that cannot be assigned to keeps what a repeat has not stored")
{
    static_assert(!std::is_move_assignable_v<Fixed>);
    Store store;
    const Repository<Fixed, Store> fixed{store};
    const Fixed::Id id{random_uuid()};
    const auto metadata = with_command();
    Fixed first{id};
    first.add(1);
    fixed.save(first, metadata);
    Fixed second{id};
    second.add(10);
    CHECK(fixed.save(second, metadata).repeated);
    CHECK(second.uncommitted_events().size() == 1);
    CHECK_THROWS_AS(fixed.save(second, with_command()), CommandIdRefused);
    CHECK(fixed.get(id).sum == 1);
}
