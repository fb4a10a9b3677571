// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// Events and an aggregate: behaviour decides, apply changes the state, and what happened is a list of plain structs.
// Nothing is stored yet.
#include "book.hpp"

#include <iostream>
#include <variant>

using namespace lending;

namespace {

void print(const BookAcquired& event) { std::cout << "  BookAcquired " << event.title << '\n'; }
void print(const BookLent& event) { std::cout << "  BookLent to " << event.reader << '\n'; }
void print(const BookReturned& event) { std::cout << "  BookReturned by " << event.reader << '\n'; }

} // namespace

int main()
{
    const auto id = Book::Id::parse("00000000-0000-4000-8000-000000000001");

    Book book = Book::acquire(id, "Dune");
    book.lend_to("Ada");
    std::cout << book.title() << " is with " << book.reader() << '\n';

    try {
        book.lend_to("Bob");
    } catch (const Refused& refusal) {
        std::cout << "refused: " << refusal.what() << '\n';
    }
    book.take_back();

    std::cout << "what happened:\n";
    for (const auto& event : book.uncommitted_events()) {
        std::visit([](const auto& typed) { print(typed); }, event);
    }
}
