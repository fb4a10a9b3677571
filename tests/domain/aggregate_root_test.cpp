// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/account.hpp"

#include <escqrs/core/id_generator.hpp>
#include <escqrs/testing/catch2.hpp>

#include <variant>

using namespace account;

namespace {

Account opened() { return Account::open(Account::Id{escqrs::random_uuid()}, "Ada"); }

struct Noted {
    static constexpr std::string_view event_name = "Noted";
    std::string text;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("text", text);
    }
};

/// Raises by reference what it holds already.
class Notebook : public escqrs::AggregateRoot<Notebook, Noted> {
public:
    explicit Notebook(const Id& id) : AggregateRoot{id} {}

    void note(std::string text) { raise(Noted{std::move(text)}); }
    void note_again(std::size_t index) { raise(std::get<Noted>(uncommitted_events()[index])); }
    void note_last_again() { raise(last_); }

    const std::string& text() const noexcept { return text_; }

private:
    friend escqrs::Access;

    void apply(const Noted& event)
    {
        last_.text.clear();
        if (event.text == "bad") throw std::runtime_error{"a bad note"};
        text_ += event.text;
        last_.text = event.text;
    }

    Noted last_;
    std::string text_;
};

struct Lowered {
    static constexpr std::string_view event_name = "Lowered";
    template <class Archive>
    void serialize(Archive&, unsigned /*version*/)
    {
    }
};
struct RanLow {
    static constexpr std::string_view event_name = "RanLow";
    template <class Archive>
    void serialize(Archive&, unsigned /*version*/)
    {
    }
};

/// Raises one event when it applies another: what one must not do.
class Stock : public escqrs::AggregateRoot<Stock, Lowered, RanLow> {
public:
    explicit Stock(const Id& id) : AggregateRoot{id} {}

    void lower() { raise(Lowered{}); }
    void run_low() { raise(RanLow{}); }

    int lows = 0;

private:
    friend escqrs::Access;

    void apply(const Lowered&) { raise(RanLow{}); }
    void apply(const RanLow&) { ++lows; }
};

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

TEST_CASE("an uncommitted event may be raised again, by reference")
{
    Notebook notebook{Notebook::Id{escqrs::random_uuid()}};
    const std::string text(40, 'a'); // too long to lie in the string object itself
    notebook.note(text);
    std::string expected = text;
    for (std::size_t index = 0; index < 9; ++index) { // the list of them grows meanwhile
        notebook.note_again(index);
        expected += text;
    }
    CHECK(notebook.text() == expected);
    for (const auto& event : notebook.uncommitted_events()) CHECK(std::get<Noted>(event).text == text);
}

TEST_CASE("part of the state may be raised as an event, though apply changes it")
{
    Notebook notebook{Notebook::Id{escqrs::random_uuid()}};
    const std::string text(40, 'b');
    notebook.note(text);
    notebook.note_last_again();
    CHECK(notebook.text() == text + text);
    CHECK(std::get<Noted>(notebook.uncommitted_events().back()).text == text);
}

TEST_CASE("an event whose apply throws is not recorded")
{
    Notebook notebook{Notebook::Id{escqrs::random_uuid()}};
    CHECK_THROWS_WITH(notebook.note("bad"), "a bad note");
    CHECK(notebook.uncommitted_events().empty());
    notebook.note("good");
    CHECK(notebook.uncommitted_events().size() == 1);
}

TEST_CASE("raise inside apply throws, and records nothing")
{
    Stock stock{Stock::Id{escqrs::random_uuid()}};
    CHECK_THROWS_WITH(stock.lower(), "event 'RanLow' was raised inside apply, where it would happen anew at each load; "
                                     "raise it in the behaviour that decides");
    CHECK(stock.uncommitted_events().empty());
    CHECK(stock.lows == 0);
    stock.run_low(); // outside, it is allowed again
    CHECK(stock.lows == 1);
}
