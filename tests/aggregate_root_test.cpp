// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/account.hpp"

#include <escqrs/id_generator.hpp>
#include <escqrs/testing/catch2.hpp>

#include <variant>

using namespace account;

namespace {

Account opened() { return Account::open(Account::Id{escqrs::random_uuid()}, "Ada"); }

} // namespace

TEST_CASE("raising an event changes the state and records the event, in order")
{
    Account account = opened();
    account.deposit(5);
    account.deposit(7, "rent");

    CHECK(account.owner() == "Ada");
    CHECK(account.balance() == 12);
    const auto events = account.uncommitted_events();
    REQUIRE(events.size() == 3);
    CHECK(std::get<AccountOpened>(events[0]).owner == "Ada");
    CHECK(std::get<MoneyDeposited>(events[1]).cents == 5);
    CHECK(std::get<MoneyDeposited>(events[2]) == MoneyDeposited{7, "rent"});
}

TEST_CASE("an event listed as NoStateChange is recorded without an apply")
{
    Account account = opened();
    account.send_statement(11);
    REQUIRE(account.uncommitted_events().size() == 2);
    CHECK(std::get<StatementSent>(account.uncommitted_events()[1]).month == 11);
}

TEST_CASE("uncommitted events do not count into the version")
{
    const Account account = opened();
    CHECK(account.version() == escqrs::StreamVersion{});
    CHECK(account.position() == escqrs::GlobalPosition{});
}

TEST_CASE("a refused change records nothing")
{
    Account account = opened();
    CHECK_THROWS_AS(account.deposit(0), std::invalid_argument);
    CHECK(account.uncommitted_events().size() == 1);
    CHECK(account.balance() == 0);
}

TEST_CASE("a copy goes its own way")
{
    Account account = opened();
    Account copy = account;
    copy.deposit(3);
    CHECK(account.balance() == 0);
    CHECK(account.uncommitted_events().size() == 1);
    CHECK(copy.uncommitted_events().size() == 2);
    CHECK(copy.id() == account.id());
}
