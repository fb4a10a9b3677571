// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/lending.hpp"

#include <escqrs/commands/repository.hpp>
#include <escqrs/core/id_generator.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/testing/catch2.hpp>

#include <optional>
#include <string>
#include <type_traits>
#include <variant>

using namespace lending;
using escqrs::Decided;

namespace {

using Book = Decided<Lending>;

const Book::Id book_id{escqrs::random_uuid()};

/// As std::expected: an event, or why not.
struct Expected {
    bool has_value() const;
    BookLent operator*() const;
    std::string error() const;
};

/// Names of the events raised and not saved, one after the other.
template <class Aggregate>
std::string raised(const Aggregate& aggregate)
{
    std::string names;
    for (const auto& event : aggregate.uncommitted_events()) {
        std::visit(
            [&](const auto& typed) {
                names.append(names.empty() ? "" : " ").append(escqrs::event_name<std::decay_t<decltype(typed)>>());
            },
            event);
    }
    return names;
}

} // namespace

TEST_CASE("decider: begins in its initial state, at no version")
{
    const Book book{book_id};
    CHECK(book.id() == book_id);
    CHECK(book.version() == escqrs::StreamVersion{});
    CHECK(book.state().reader.empty());
    CHECK(Book::category == "lending");
}

TEST_CASE("decider: what it decides is raised, and changes its state")
{
    Book book{book_id};
    book.decide(Lend{book_id, "Ada"});
    CHECK(raised(book) == "BookLent");
    CHECK(book.state().reader == "Ada");
    CHECK(book.state().times_lent == 1);
}

TEST_CASE("decider: a refusal raises nothing and changes nothing")
{
    Book book{book_id};
    book.decide(Lend{book_id, "Ada"});
    CHECK_THROWS_AS(book.decide(Lend{book_id, "Bob"}), Refused);
    CHECK(raised(book) == "BookLent");
    CHECK(book.state().reader == "Ada");
}

TEST_CASE("decider: decide returns its events in many forms")
{
    Book book{book_id};

    SECTION("an empty optional is nothing")
    {
        book.decide(Return{book_id});
        CHECK(raised(book).empty());
    }
    SECTION("an optional of one event")
    {
        book.decide(Lend{book_id, "Ada"});
        book.decide(Return{book_id});
        CHECK(raised(book) == "BookLent BookReturned");
    }
    SECTION("a tuple, in its order")
    {
        book.decide(Lend{book_id, "Ada"});
        book.decide(PassOn{book_id, "Bob"});
        CHECK(raised(book) == "BookLent BookReturned BookLent");
        CHECK(book.state().reader == "Bob");
    }
    SECTION("a variant, of which std::monostate is nothing")
    {
        book.decide(Toggle{book_id, ""});
        CHECK(raised(book).empty());
        book.decide(Toggle{book_id, "Ada"});
        book.decide(Toggle{book_id, "Ada"});
        CHECK(raised(book) == "BookLent BookReturned");
    }
    SECTION("void is nothing")
    {
        book.decide(Look{book_id});
        CHECK(raised(book).empty());
    }
    SECTION("vectors of events and of variants, in their order")
    {
        Decided<Queue> queue{Decided<Queue>::Id{}};
        queue.decide(Enqueue{{"Ada", "Bob"}});
        queue.decide(ReplaceQueue{{"Cleo"}});
        CHECK(raised(queue) == "ReaderQueued ReaderQueued QueueCleared ReaderQueued");
        CHECK(queue.state() == std::vector<std::string>{"Cleo"});
    }
}

TEST_CASE("decider: a repository saves and loads it like any aggregate")
{
    escqrs::in_memory::EventStore store;
    const escqrs::Repository<Book, escqrs::in_memory::EventStore> books{store};
    CHECK_FALSE(books.find(book_id));

    Book book{book_id};
    book.decide(Lend{book_id, "Ada"});
    const auto saved = books.save(book);
    CHECK(saved.stream.text() == "lending-" + to_string(book_id));

    const auto result = books.execute(book_id, [](Book& found) { found.decide(PassOn{book_id, "Bob"}); });
    CHECK(result.version == escqrs::StreamVersion{3});
    const Book found = books.get(book_id);
    CHECK(found.state().reader == "Bob");
    CHECK(found.state().times_lent == 2);
}

TEST_CASE("decider: a composition brings each command and event to its part")
{
    Decided<Desk> desk{Decided<Desk>::Id{escqrs::random_uuid()}};
    desk.decide(Lend{{}, "Ada"});
    desk.decide(Enqueue{{"Bob"}});
    CHECK(raised(desk) == "BookLent ReaderQueued");
    CHECK(Desk::state_of<Lending>(desk.state()).reader == "Ada");
    CHECK(Desk::state_of<Queue>(desk.state()) == std::vector<std::string>{"Bob"});
    CHECK_THROWS_AS(desk.decide(Lend{{}, "Bob"}), Refused);

    SECTION("which is itself a decider that a repository keeps")
    {
        escqrs::in_memory::EventStore store;
        const escqrs::Repository<Decided<Desk>, escqrs::in_memory::EventStore> desks{store};
        CHECK(desks.save(desk).stream.category() == "desk");
        const auto found = desks.get(desk.id());
        CHECK(Desk::state_of<Lending>(found.state()).reader == "Ada");
        CHECK(Desk::state_of<Queue>(found.state()) == std::vector<std::string>{"Bob"});
    }
}

TEST_CASE("decider: the concepts tell what a type decides and evolves")
{
    STATIC_REQUIRE(escqrs::Decider<Lending>);
    STATIC_REQUIRE(escqrs::Decider<Desk>);
    STATIC_REQUIRE_FALSE(escqrs::Decider<Book>);
    STATIC_REQUIRE_FALSE(escqrs::Decider<escqrs::Compose<Lending, Queue>>); // it has no category
    STATIC_REQUIRE(escqrs::Decides<Desk, Enqueue>);
    STATIC_REQUIRE_FALSE(escqrs::Decides<Lending, Enqueue>);
    STATIC_REQUIRE(escqrs::Evolves<Desk, ReaderQueued>);
    STATIC_REQUIRE_FALSE(escqrs::Evolves<Lending, ReaderQueued>);
    STATIC_REQUIRE(Desk::has_part<Queue>);
    STATIC_REQUIRE_FALSE(Desk::has_part<Desk>);
    STATIC_REQUIRE_FALSE(escqrs::HasSnapshots<Book>); // it names no snapshot_version
}

TEST_CASE("decider: what may hold an error is no optional, of which the error would be lost")
{
    STATIC_REQUIRE(escqrs::detail::EventOptional<std::optional<BookLent>>);
    STATIC_REQUIRE_FALSE(escqrs::detail::EventOptional<Expected>);
}
