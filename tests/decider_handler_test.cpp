// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/lending.hpp"

#include <escqrs/decider_handler.hpp>
#include <escqrs/id_generator.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/testing/catch2.hpp>

using namespace lending;
using Store = escqrs::in_memory::EventStore;
using Book = escqrs::Decided<Lending>;
using Books = escqrs::Repository<Book, Store>;

namespace {

const Book::Id book_id{escqrs::random_uuid()};

/// Somebody who is faster than `decide_and_save`, a number of times: books that change between `find` and `save`.
struct ContestedBooks {
    const Books& books;
    mutable int conflicts;

    std::optional<escqrs::CommitResult> find_commit(const escqrs::CommandId& id) const { return books.find_commit(id); }
    std::optional<Book> find(const Book::Id& id) const { return books.find(id); }
    escqrs::CommitResult save(Book& book, const escqrs::Metadata& metadata) const
    {
        if (conflicts > 0) {
            --conflicts;
            Book other = books.find(book.id()).value_or(Book{book.id()});
            other.decide(Toggle{book.id(), "somebody else"});
            books.save(other);
        }
        return books.save(book, metadata);
    }
};

} // namespace

TEST_CASE("decider handler: a command begins a stream, and goes on with it")
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
    CHECK(escqrs::decide_and_save(books, book_id, Return{book_id}).version == escqrs::StreamVersion{});
    CHECK_FALSE(books.find(book_id));
}

TEST_CASE("decider handler: a repeated command id is not decided again")
{
    Store store;
    const Books books{store};
    escqrs::Metadata metadata;
    metadata.command_id = escqrs::CommandId{escqrs::random_uuid()};
    const auto first = escqrs::decide_and_save(books, book_id, Lend{book_id, "Ada"}, metadata);
    CHECK(escqrs::decide_and_save(books, book_id, Lend{book_id, "Ada"}, metadata) == first);
    CHECK(books.get(book_id).state().times_lent == 1);
}

TEST_CASE("decider handler: after a conflict it decides again, on what is there now")
{
    Store store;
    const Books books{store};

    SECTION("as often as the policy allows")
    {
        const ContestedBooks contested{books, 2};
        escqrs::decide_and_save(contested, book_id, Toggle{book_id, "Ada"});
        // Lent and returned by the others, then lent to Ada.
        CHECK(books.get(book_id).state().reader == "Ada");
        CHECK(books.get(book_id).version() == escqrs::StreamVersion{3});
    }
    SECTION("and refuses what has become impossible")
    {
        const ContestedBooks contested{books, 1};
        CHECK_THROWS_AS(escqrs::decide_and_save(contested, book_id, Lend{book_id, "Ada"}), Refused);
    }
    SECTION("and gives up when the policy is exhausted")
    {
        const ContestedBooks contested{books, 3};
        CHECK_THROWS_AS(escqrs::decide_and_save(contested, book_id, Toggle{book_id, "Ada"}, {}, {.attempts = 3}),
                        escqrs::ConcurrencyError);
        CHECK(contested.conflicts == 0);
    }
}
