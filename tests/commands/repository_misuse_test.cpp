// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// Mistakes that would compile and give wrong results, were they not refused.
#include "support/account.hpp"

#include <escqrs/commands/decider_handler.hpp>
#include <escqrs/commands/repository.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/testing/catch2.hpp>

using namespace account;

namespace {

/// Opens itself: each load would open it anew.
class Eager : public escqrs::AggregateRoot<Eager, AccountOpened> {
public:
    static constexpr std::string_view category = "eager";

    explicit Eager(const Id& id) : AggregateRoot{id} { raise(AccountOpened{"Ada"}); }

    int times_opened = 0;

private:
    friend escqrs::Access;

    void apply(const AccountOpened&) { ++times_opened; }
};

} // namespace

TEST_CASE("an aggregate that raises in its constructor from an id cannot be loaded", "[misuse]")
{
    escqrs::in_memory::EventStore store;
    const escqrs::Repository<Eager, escqrs::in_memory::EventStore> repository{store};
    const Eager::Id id{escqrs::random_uuid()};
    const auto sentence =
        "aggregate 'eager' raises an event in its constructor from an id, where it would happen anew at each load";
    CHECK_THROWS_WITH(repository.find(id), sentence);
    CHECK_THROWS_WITH(repository.execute_or_begin(id, [](Eager&) {}), sentence);
}

TEST_CASE("a nil id is refused wherever an aggregate is named", "[misuse]")
{
    escqrs::in_memory::EventStore store;
    const escqrs::Repository<Account, escqrs::in_memory::EventStore> accounts{store};
    const auto sentence = "a stream of category 'account' needs an id, found the nil UUID: the id was not set";
    CHECK_THROWS_WITH(accounts.find(Account::Id{}), sentence);
    CHECK_THROWS_WITH(accounts.get(Account::Id{}), sentence);
    CHECK_THROWS_WITH(accounts.execute(Account::Id{}, [](Account&) {}), sentence);
    CHECK_THROWS_WITH(accounts.execute_or_begin(Account::Id{}, [](Account&) {}), sentence);
    Account account = Account::open(Account::Id{}, "Ada");
    CHECK_THROWS_WITH(accounts.save(account), sentence);
    CHECK(store.head() == escqrs::GlobalPosition{});
}

TEST_CASE("to_string of a UUID is found without the namespace", "[misuse]")
{
    const auto uuid = escqrs::parse_uuid("00112233-4455-6677-8899-aabbccddeeff");
    CHECK(to_string(uuid) == "00112233-4455-6677-8899-aabbccddeeff");
    CHECK(to_string(escqrs::EventId{uuid}) == to_string(uuid));
}
