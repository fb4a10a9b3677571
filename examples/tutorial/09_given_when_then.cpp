// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// Tests that read like a specification: given what happened, when something is asked for, then this happens. For
// aggregates, deciders and read models; with a test framework or, as here, without.
#include "lending_decider.hpp"

#include <escqrs/testing/given_when_then.hpp>
#include <escqrs/testing/specification.hpp>

#include <iostream>
#include <map>

using namespace lending;
using escqrs::testing::check;
using escqrs::testing::given;
using escqrs::testing::in_stream;
using escqrs::testing::when;

/// A read model: how many books each reader has.
struct BooksByReader {
    using Events = escqrs::EventList<BookLent, BookReturned>;

    void handle(const BookLent& event, const escqrs::EventContext&) { ++books[event.reader]; }
    void handle(const BookReturned& event, const escqrs::EventContext&) { --books[event.reader]; }

    std::map<std::string, int> books;
};

const auto id = Book::Id::parse("00000000-0000-4000-8000-000000000001");

const escqrs::testing::Specification aggregates{
    "a book that a reader has cannot be lent", [] {
        when([] { return Book::acquire(id, "Dune"); }).then(BookAcquired{"Dune"});
        given<Book>(BookAcquired{"Dune"}, BookLent{"Ada"})
            .when([](Book& book) { book.lend_to("Bob"); })
            .then_throws<Refused>("Dune is with Ada");
    }};

const escqrs::testing::Specification deciders{"a book is taken back once", [] {
                                                  given<Lending>(BookAcquired{"Dune"}, BookLent{"Ada"})
                                                      .when(TakeBack{})
                                                      .then(BookReturned{"Ada"})
                                                      .when(TakeBack{})
                                                      .then_nothing();
                                              }};

const escqrs::testing::Specification read_models{
    "a reader's books are counted over all copies", [] {
        BooksByReader model;
        given(in_stream("book", 1), BookLent{"Ada"}, in_stream("book", 2), BookLent{"Ada"}, BookReturned{"Ada"})
            .projected_by(model)
            .then(&BooksByReader::books, std::map<std::string, int>{{"Ada", 1}});
    }};

const escqrs::testing::Specification mistaken{
    "a book goes to anyone who asks (it does not: the test is wrong)", [] {
        given<Lending>(BookAcquired{"Dune"}).when(Lend{{}, "Ada"}).then(BookLent{"Bob"}, BookReturned{"Bob"});
    }};

int main()
{
    const int right = check({aggregates, deciders, read_models}, std::cout);
    const int wrong = check({mistaken}, std::cout);
    std::cout << "exit codes: " << right << " and " << wrong << '\n';
}
