// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/account.hpp"

#include <escqrs/commands/repository.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/store/forwarding_event_store.hpp>
#include <escqrs/testing/catch2.hpp>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <vector>

using namespace escqrs;
using account::Account;

namespace {

using Store = in_memory::EventStore;
using Accounts = Repository<Account, Store>;

Account::Id new_id() { return Account::Id{random_uuid()}; }

/// `MoneyDeposited` as it was before it had a note.
struct MoneyDepositedBefore {
    std::int64_t cents = 0;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("cents", cents);
    }
};

/// Passes everything on, and loses the answer to the appends that a test names.
class ForgetfulStore : public ForwardingEventStore<Store> {
public:
    AppendResult append(const StreamId& stream, ExpectedVersion expected, std::span<const NewEvent> events)
    {
        const auto result = store().append(stream, expected, events);
        if (answers_to_lose > 0) {
            --answers_to_lose;
            throw StoreError{"the answer was lost"};
        }
        return result;
    }

    int answers_to_lose = 0;
};

} // namespace

TEST_CASE("what is saved is found again, equal to the live state")
{
    Store store;
    const Accounts accounts{store};
    auto live = Account::open(new_id(), "Ada");
    live.deposit(5);
    const auto first = accounts.save(live);
    CHECK(first.version == StreamVersion{2});
    CHECK(first.position == GlobalPosition{2});
    CHECK(live.uncommitted_events().empty());
    live.deposit(6);
    live.send_statement(1);
    accounts.save(live);

    const auto found = accounts.get(live.id());
    CHECK(found.owner() == "Ada");
    CHECK(found.balance() == live.balance());
    CHECK(found.version() == StreamVersion{4});
    CHECK(found.position() == GlobalPosition{4});
}

TEST_CASE("what was never saved is not found")
{
    Store store;
    const Accounts accounts{store};
    const auto id = new_id();
    CHECK_FALSE(accounts.find(id).has_value());
    CHECK_THROWS_AS(accounts.get(id), AggregateNotFound);
    CHECK_THROWS_WITH(accounts.get(id), Catch::Contains("account-" + to_string(id)));
    CHECK_THROWS_AS(accounts.execute(id, [](Account& account) { account.deposit(1); }), AggregateNotFound);
}

TEST_CASE("saving without changes writes nothing and answers with what is there")
{
    Store store;
    const Accounts accounts{store};
    auto account = Account::open(new_id(), "Ada");
    accounts.save(account);
    CHECK(accounts.save(account).version == StreamVersion{1});
    const auto result = accounts.execute(account.id(), [](Account&) {});
    CHECK(result.version == StreamVersion{1});
    CHECK(result.position == GlobalPosition{1});
    CHECK(store.head() == GlobalPosition{1});
}

TEST_CASE("of two saves at the same version, the second is a conflict")
{
    Store store;
    const Accounts accounts{store};
    auto mine = Account::open(new_id(), "Ada");
    accounts.save(mine);
    auto theirs = accounts.get(mine.id());
    theirs.deposit(1);
    accounts.save(theirs);
    mine.deposit(2);
    CHECK_THROWS_AS(accounts.save(mine), ConcurrencyError);
    CHECK(mine.uncommitted_events().size() == 1);
    CHECK(accounts.get(mine.id()).balance() == 1);
}

TEST_CASE("execute decides again after a conflict, until its attempts are used up")
{
    Store store;
    RepositoryOptions options;
    options.retry = {3, Duration{1}, Duration{1}};
    const Accounts accounts{store, options};
    auto account = Account::open(new_id(), "Ada");
    accounts.save(account);
    int decisions = 0;
    const auto interfere = [&](int times) {
        return [&, times](Account& seen) {
            if (decisions++ < times) {
                auto other = accounts.get(seen.id());
                other.deposit(1);
                accounts.save(other);
            }
            seen.deposit(100);
        };
    };
    SECTION("two conflicts")
    {
        accounts.execute(account.id(), interfere(2));
        CHECK(decisions == 3);
        CHECK(accounts.get(account.id()).balance() == 102);
    }
    SECTION("one too many")
    {
        CHECK_THROWS_AS(accounts.execute(account.id(), interfere(3)), ConcurrencyError);
        CHECK(decisions == 3);
        CHECK(accounts.get(account.id()).balance() == 3);
    }
}

TEST_CASE("execute_or_begin begins an aggregate that has no events, and continues one that has")
{
    Store store;
    const Accounts accounts{store};
    const auto id = new_id();
    int decisions = 0;
    const auto deposit = [](Account& seen) { seen.deposit(1); };
    const auto contested = [&](Account& seen) {
        if (decisions++ == 0) accounts.execute_or_begin(id, deposit);
        seen.deposit(100);
    };
    CHECK(accounts.execute_or_begin(id, [](Account&) {}).version == StreamVersion{});
    CHECK_FALSE(accounts.find(id));
    CHECK(accounts.execute_or_begin(id, contested).version == StreamVersion{2}); // another was first
    CHECK(decisions == 2);
    CHECK(accounts.get(id).balance() == 101);

    SECTION("a command that has been carried out elsewhere meanwhile is not refused for its own effect")
    {
        Metadata metadata;
        metadata.command_id = CommandId{random_uuid()};
        const auto other = new_id();
        CommitResult first{StreamId{"a", "1"}, {}, {}};
        const auto decide = [&](Account&) {
            first = accounts.execute_or_begin(other, deposit, metadata);
            throw std::logic_error{"only once"};
        };
        CHECK(accounts.execute_or_begin(other, decide, metadata) == first);
    }
}

TEST_CASE("many threads on one aggregate lose no update")
{
    Store store;
    RepositoryOptions options;
    options.retry.attempts = 1000;
    const Accounts accounts{store, options};
    auto account = Account::open(new_id(), "Ada");
    accounts.save(account);
    {
        std::vector<escqrs::jthread> threads;
        for (int thread = 0; thread < 4; ++thread) {
            threads.emplace_back([&] {
                for (int round = 0; round < 50; ++round)
                    accounts.execute(account.id(), [](Account& seen) { seen.deposit(1); });
            });
        }
    }
    CHECK(accounts.get(account.id()).balance() == 200);
}

TEST_CASE("a save whose answer was lost can be repeated")
{
    ForgetfulStore store;
    const Repository<Account, ForgetfulStore> accounts{store};
    auto account = Account::open(new_id(), "Ada");
    account.deposit(5);
    store.answers_to_lose = 1;
    CHECK_THROWS_AS(accounts.save(account), StoreError);
    CHECK(accounts.save(account).version == StreamVersion{2});
    CHECK(store.head() == GlobalPosition{2});
    CHECK(accounts.get(account.id()).balance() == 5);
}

TEST_CASE("a command with an id has its effect once")
{
    Store store;
    const Accounts accounts{store};
    Metadata metadata;
    metadata.command_id = CommandId{random_uuid()};
    CHECK_FALSE(accounts.find_commit(metadata.command_id).has_value());

    auto account = Account::open(new_id(), "Ada");
    accounts.save(account);
    const auto first = accounts.execute(
        account.id(),
        [](Account& seen) {
            seen.deposit(5);
            seen.deposit(6);
        },
        metadata);
    accounts.execute(account.id(), [](Account& seen) { seen.deposit(100); });
    const auto second = accounts.execute(
        account.id(), [](Account&) { throw std::logic_error{"decided again"}; }, metadata);
    CHECK(second == first);
    CHECK(accounts.find_commit(metadata.command_id) == first);
    CHECK(accounts.get(account.id()).balance() == 111);
}

TEST_CASE("a command that has been carried out elsewhere since it was looked for is not refused for its own effect")
{
    Store store;
    const Accounts here{store};
    const Accounts elsewhere{store};
    Metadata metadata;
    metadata.command_id = CommandId{random_uuid()};
    auto account = Account::open(new_id(), "Ada");
    here.save(account);
    CommitResult first{StreamId{"a", "1"}, {}, {}};
    const auto decide = [&](Account&) {
        first = elsewhere.execute(
            account.id(), [](Account& seen) { seen.deposit(5); }, metadata);
        throw std::logic_error{"only once"};
    };
    CHECK(here.execute(account.id(), decide, metadata) == first);
    CHECK_THROWS_AS(here.execute(account.id(), decide), std::logic_error);
}

TEST_CASE("metadata travels with every event of a commit")
{
    Store store;
    const Accounts accounts{store};
    Metadata metadata;
    metadata.actor = "ada";
    metadata.correlation_id = CorrelationId{random_uuid()};
    auto account = Account::open(new_id(), "Ada");
    account.deposit(1);
    accounts.save(account, metadata);
    int seen = 0;
    store.read_log({}, 10, [&](const RecordedEvent& event) {
        CHECK(context_of(event).metadata == metadata);
        ++seen;
        return true;
    });
    CHECK(seen == 2);
}

TEST_CASE("what one call leaves to the next is not seen by it")
{
    Store store;
    const Accounts accounts{store};
    const Accounts copy{accounts}; // NOLINT(performance-unnecessary-copy-initialization): it is what is tested
    auto big = Account::open(new_id(), std::string(100'000, 'B'));
    big.deposit(1, std::string(200'000, 'n'));
    accounts.save(big);
    auto small = Account::open(new_id(), "Ada");
    copy.save(small);
    CHECK(accounts.get(big.id()).owner() == big.owner());
    CHECK(accounts.get(small.id()).owner() == "Ada");

    // A deposit of version 0 has no note; the repository's last one had.
    std::vector<std::byte> bytes;
    archive::BinaryOutput{bytes}.root(MoneyDepositedBefore{7}, 0);
    const NewEvent old{EventId{random_uuid()}, "MoneyDeposited", 0, archive::Binary::content_type, bytes, {}};
    store.append(Accounts::stream_of(small.id()), ExpectedVersion::any(), {&old, 1});
    CHECK(accounts.get(big.id()).last_note() == std::string(200'000, 'n'));
    CHECK(accounts.get(small.id()).last_note().empty());

    // While one call is under way, another begins.
    accounts.execute(small.id(), [&](Account& seen) {
        CHECK(accounts.get(big.id()).owner() == big.owner());
        accounts.execute(big.id(), [&](Account& other) { other.deposit(2); });
        seen.deposit(2, "for Ada");
    });
    CHECK(accounts.get(small.id()).last_note() == "for Ada");
    CHECK(accounts.get(small.id()).balance() == 9);
    CHECK(accounts.get(big.id()).balance() == 3);
}

TEST_CASE("an event that cannot be decoded names stream, version and position")
{
    Store store;
    const Accounts accounts{store};
    auto account = Account::open(new_id(), "Ada");
    accounts.save(account);
    const auto stream = Accounts::stream_of(account.id());
    const std::byte rubbish[] = {std::byte{0xFF}, std::byte{0xFF}};
    NewEvent event{EventId{random_uuid()}, "MoneyDeposited", 1, archive::Binary::content_type, rubbish, {}};
    SECTION("damaged bytes") {}
    SECTION("unknown type") { event.type = "NeverHeardOf"; }
    SECTION("newer version") { event.schema_version = 9; }
    store.append(stream, ExpectedVersion::any(), {&event, 1});
    try {
        accounts.get(account.id());
        FAIL("it was decoded");
    } catch (const HydrationError& error) {
        CHECK(error.stream() == stream);
        CHECK(error.version() == StreamVersion{2});
        CHECK(error.position() == GlobalPosition{2});
        CHECK_THROWS_AS(std::rethrow_if_nested(error), CodecError);
    }
    auto another = Account::open(new_id(), "Bob");
    accounts.save(another);
    CHECK(accounts.get(another.id()).owner() == "Bob");
}

TEST_CASE("a repository works on a store chosen at run time")
{
    AnyEventStore store{std::make_shared<Store>()};
    const Repository<Account> accounts{store};
    auto account = Account::open(new_id(), "Ada");
    account.deposit(3);
    accounts.save(account);
    CHECK(accounts.get(account.id()).balance() == 3);
}
