// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/account.hpp"
#include "support/lending.hpp"
#include "testing/failure_text.hpp"

#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/given_when_then.hpp>

#include <stdexcept>

using namespace account;
using namespace escqrs::testing;
using lending::BookLent;
using lending::BookReturned;
using lending::Lend;
using lending::Lending;
using lending::Refused;
using lending::Return;

namespace {

const Account::Id id{SequentialIds::nth(7)};

void deposit(Account& account) { account.deposit(6, "rent"); }

/// Its `serialize` forgets the amount.
struct Forgotten {
    static constexpr std::string_view event_name = "Forgotten";
    int amount = 0;

    template <class Archive>
    void serialize(Archive&, unsigned /*version*/)
    {
    }
};

class Forgetful : public escqrs::AggregateRoot<Forgetful, Forgotten> {
public:
    static constexpr std::string_view category = "forgetful";
    explicit Forgetful(const Id& forgetful_id) : AggregateRoot{forgetful_id} {}
    int amount = 0;

private:
    friend escqrs::Access;
    void apply(const Forgotten& event) { amount = event.amount; }
};

struct Sell {
    int cents = 0;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("cents", cents);
    }
};
struct Sold {
    static constexpr std::string_view event_name = "Sold";
    int cents = 0;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("cents", cents);
    }
};

struct Till {
    static constexpr std::string_view category = "till";
    using State = int;
    using Events = escqrs::EventList<Sold>;

    static State initial() { return 0; }
    static Sold decide(const Sell& command, const State&) { return {command.cents}; }
    static State evolve(State state, const Sold& event) { return state + event.cents; }
};

} // namespace

TEST_CASE("given, when, then: an aggregate that does as expected")
{
    given<Account>(id, AccountOpened{"Ada"}, MoneyDeposited{5, ""}).when(deposit).then(MoneyDeposited{6, "rent"});
    given<Account>(AccountOpened{"Ada"}).when([](Account&) {}).then_nothing();
    given<Account>(AccountOpened{"Ada"}).when([](Account& a) { a.deposit(-1); }).then_throws<std::invalid_argument>();
    when([] { return Account::open(id, "Ada"); }).then(AccountOpened{"Ada"});
}

TEST_CASE("given, when, then: a decider that does as expected")
{
    given<Lending>(BookLent{"Ada"}).when(Return{}).then(BookReturned{"Ada"});
    given<Lending>().when(Return{}).then_nothing();
    given<Lending>(BookLent{"Ada"}).when(Lend{{}, "Bob"}).then_throws<Refused>("with Ada");
}

TEST_CASE("given, when, then: a composition of deciders, with events and commands of each part")
{
    given<lending::Desk>(BookLent{"Ada"})
        .when(lending::Enqueue{{"Bob"}})
        .then(lending::ReaderQueued{"Bob"})
        .when(Lend{{}, "Bob"})
        .then_throws<Refused>("with Ada");
}

TEST_CASE("given, when, then: the history has happened to the aggregate")
{
    const auto ada = given<Account>(id, AccountOpened{"Ada"}, MoneyDeposited{5, ""});
    CHECK(ada.aggregate().id() == id);
    CHECK(ada.aggregate().balance() == 5);
    CHECK(ada.aggregate().version() == escqrs::StreamVersion{2});
    CHECK(given<Account>().aggregate().id().value() == SequentialIds::nth(1));

    SECTION("in its stored form: what serialize forgets is missing")
    {
        CHECK(given<Forgetful>(Forgotten{5}).aggregate().amount == 0);
    }
    SECTION("and each when begins there again")
    {
        ada.when(deposit).then(MoneyDeposited{6, "rent"});
        CHECK(ada.when(deposit).then(MoneyDeposited{6, "rent"}).aggregate().balance() == 11);
    }
}

TEST_CASE("given, when, then: the next when continues from what happened")
{
    const auto after = given<Lending>().when(Lend{{}, "Ada"}).then(BookLent{"Ada"});
    CHECK(after.aggregate().version() == escqrs::StreamVersion{1});
    after.when(Return{}).then(BookReturned{"Ada"});

    CHECK(failure_text([&] { after.when(Return{}).then_nothing(); }) == "expected no events, found 1 event\n"
                                                                        "  1. expected no event, found "
                                                                        "BookReturned{reader: 'Ada'}\n"
                                                                        "given\n"
                                                                        "  1. BookLent{reader: 'Ada'}\n"
                                                                        "when Return");
    SECTION("also after a refusal")
    {
        const auto refused = after.when(Lend{{}, "Bob"}).then_throws<Refused>();
        CHECK(refused.aggregate().version() == escqrs::StreamVersion{1});
        refused.when(Return{}).then(BookReturned{"Ada"});
    }
    SECTION("but not if there is no aggregate, for its creation was refused")
    {
        const auto none = when([]() -> Account { throw Refused{"no"}; }).then_throws<Refused>();
        CHECK_THROWS_AS(none.aggregate(), std::logic_error);
    }
}

TEST_CASE("given, when, then: a difference is shown field by field")
{
    CHECK(failure_text([] {
              given<Account>(AccountOpened{"Ada"}, MoneyDeposited{5, ""})
                  .when([](Account& account) {
                      account.deposit(6, "rent");
                      account.send_statement(3);
                  })
                  .then(MoneyDeposited{7, "food"}, StatementSent{3});
          }) == "expected 2 events, found others\n"
                "  1. MoneyDeposited\n"
                "       cents: expected 7, found 6\n"
                "       note: expected 'food', found 'rent'\n"
                "  2. StatementSent: as expected\n"
                "given\n"
                "  1. AccountOpened{owner: 'Ada'}\n"
                "  2. MoneyDeposited{cents: 5, note: ''}");
}

TEST_CASE("given, when, then: another type, a missing event, and one too many")
{
    const auto lent = given<Lending>(BookLent{"Ada"});
    CHECK(failure_text([&] { lent.when(Return{}).then(BookLent{"Ada"}); }) ==
          "expected 1 event, found another\n"
          "  1. expected BookLent{reader: 'Ada'}\n"
          "     found    BookReturned{reader: 'Ada'}\n"
          "given\n"
          "  1. BookLent{reader: 'Ada'}\n"
          "when Return");
    CHECK(failure_text([&] { lent.when(Return{}).then(BookReturned{"Ada"}, BookLent{"Bob"}); }) ==
          "expected 2 events, found 1 event\n"
          "  1. BookReturned: as expected\n"
          "  2. expected BookLent{reader: 'Bob'}, found no event\n"
          "given\n"
          "  1. BookLent{reader: 'Ada'}\n"
          "when Return");
    CHECK(failure_text([] { when([] { return Account::open(id, "Ada"); }).then_nothing(); }) ==
          "expected no events, found 1 event\n"
          "  1. expected no event, found AccountOpened{owner: 'Ada'}\n"
          "given nothing");
}

TEST_CASE("given, when, then: an event missing or too many in between leaves the others as they are")
{
    const auto deposits = given<Account>().when([](Account& account) {
        account.deposit(1);
        account.send_statement(3);
        account.deposit(2);
    });
    CHECK(failure_text([&] {
              deposits.then(StatementSent{3}, MoneyDeposited{2, ""});
          }) == "expected 2 events, found 3 events\n"
                "  1. expected no event, found MoneyDeposited{cents: 1, note: ''}\n"
                "  2. StatementSent: as expected\n"
                "  3. MoneyDeposited: as expected\n"
                "given nothing");
    CHECK(failure_text([&] {
              deposits.then(MoneyDeposited{1, ""}, MoneyDeposited{9, ""}, StatementSent{3}, MoneyDeposited{2, "rent"});
          }) == "expected 4 events, found 3 events\n"
                "  1. MoneyDeposited: as expected\n"
                "  2. expected MoneyDeposited{cents: 9, note: ''}, found no event\n"
                "  3. StatementSent: as expected\n"
                "  4. MoneyDeposited\n"
                "       note: expected 'rent', found ''\n"
                "given nothing");
    CHECK(failure_text([&] {
              deposits.then(StatementSent{3}, MoneyDeposited{1, ""}, MoneyDeposited{2, ""});
          }) == "expected 3 events, found others\n"
                "  1. expected StatementSent{month: 3}, found no event\n"
                "  2. MoneyDeposited: as expected\n"
                "  3. expected no event, found StatementSent{month: 3}\n"
                "  4. MoneyDeposited: as expected\n"
                "given nothing");
}

TEST_CASE("given, when, then: an exception where events were expected")
{
    CHECK(failure_text([] { given<Lending>(BookLent{"Ada"}).when(Lend{}).then(BookLent{"Bob"}); }) ==
          "expected 1 event, but lending::Refused was thrown: the book is with Ada\n"
          "given\n"
          "  1. BookLent{reader: 'Ada'}\n"
          "when Lend");
    CHECK(failure_text([] { given<Account>().when([](Account&) { throw 42; }).then_nothing(); }) ==
          "expected no events, but something that is no std::exception was thrown\n"
          "given nothing");
}

TEST_CASE("given, when, then: an exception that does not come, or is another")
{
    const auto lent = given<Lending>(BookLent{"Ada"});
    const std::string given_lent = "\ngiven\n  1. BookLent{reader: 'Ada'}\nwhen ";
    CHECK(failure_text([] { given<Lending>().when(Return{}).then_throws<Refused>(); }) ==
          "expected Refused to be thrown, but nothing happened\ngiven nothing\nwhen Return");
    CHECK(failure_text([&] { lent.when(Return{}).then_throws<Refused>(); }) ==
          "expected Refused to be thrown, but this happened\n  1. BookReturned{reader: 'Ada'}" + given_lent + "Return");
    CHECK(failure_text([&] { lent.when(Lend{}).then_throws<std::out_of_range>(); }) ==
          "expected out_of_range to be thrown, but lending::Refused was thrown: the book is with Ada" + given_lent +
              "Lend");
    CHECK(failure_text([&] { lent.when(Lend{}).then_throws<Refused>("in Paris"); }) ==
          "expected Refused with 'in Paris' in its text, found 'the book is with Ada'" + given_lent + "Lend");
    CHECK(failure_text([&] { lent.when(Lend{}).then_throws<Refused>(&Refused::what, "the book is lost"); }) ==
          "Refused: expected 'the book is lost', found 'the book is with Ada'" + given_lent + "Lend");
    lent.when(Lend{}).then_throws<Refused>(&Refused::what, "the book is with Ada");
}

TEST_CASE("given, when, then: what is thrown may be anything")
{
    const auto thrown = given<Account>().when([](Account&) { throw 42; });
    thrown.then_throws<int>();
    thrown.then_throws<int>([](int number) { return number; }, 42);
    CHECK(failure_text([&] { thrown.then_throws<int>("six"); }) ==
          "expected int with 'six' in its text, found ''\ngiven nothing");
}

TEST_CASE("given, when, then: a command that has a serialize is shown with its fields")
{
    CHECK(failure_text([] { given<Till>().when(Sell{5}).then_nothing(); }) ==
          "expected no events, found 1 event\n"
          "  1. expected no event, found Sold{cents: 5}\n"
          "given nothing\n"
          "when Sell{cents: 5}");
}

TEST_CASE("given, when, then: who refuses must not have raised anything before")
{
    CHECK(failure_text([] {
              given<Account>()
                  .when([](Account& account) {
                      account.deposit(6);
                      account.deposit(-1);
                  })
                  .then_throws<std::invalid_argument>();
          }) == "expected invalid_argument to be thrown before any event, but it raised\n"
                "  1. MoneyDeposited{cents: 6, note: ''}\n"
                "given nothing");
}

TEST_CASE("given, when, then: events of which not every field matters")
{
    const auto account = given<Account>();
    account.when(deposit).then(ignoring(MoneyDeposited{1, "rent"}, "cents"));
    account.when(deposit).then(any<MoneyDeposited>());
    account.when(deposit).then(where<MoneyDeposited>([](const auto& event) { return event.cents < 10; }));

    CHECK(failure_text([&] {
              account.when(deposit).then(ignoring(MoneyDeposited{1, "food"}, "cents"));
          }) == "expected 1 event, found another\n"
                "  1. MoneyDeposited\n"
                "       note: expected 'food', found 'rent'\n"
                "given nothing");
    const auto large =
        where<MoneyDeposited>([](const auto& event) { return event.cents >= 1000; }, "is a large amount");
    CHECK(failure_text([&] { account.when(deposit).then(large); }) ==
          "expected 1 event, found another\n"
          "  1. MoneyDeposited\n"
          "       expected one that is a large amount, found MoneyDeposited{cents: 6, note: 'rent'}\n"
          "given nothing");
    CHECK(failure_text([&] { account.when([](Account&) {}).then(large, any<StatementSent>()); }) ==
          "expected 2 events, found no events\n"
          "  1. expected MoneyDeposited that is a large amount, found no event\n"
          "  2. expected StatementSent, found no event\n"
          "given nothing");
}

TEST_CASE("given, when, then: a failure tells where its when stands")
{
    const auto line = std::to_string(__LINE__ + 2);
    try {
        given<Lending>().when(Return{}).then(BookReturned{});
        FAIL("the kit is content");
    } catch (const ExpectationFailed& failure) {
        const std::string text = failure.what();
        CHECK(text.substr(text.rfind('\n')) == "\nat given_when_then_test.cpp:" + line);
    }
}
