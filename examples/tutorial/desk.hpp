// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "book.hpp"

#include <escqrs/commands/command_bus.hpp>
#include <escqrs/commands/repository.hpp>

#include <string>

// What people may ask of the library, and who answers.
namespace lending {

struct AcquireBook {
    Book::Id book_id;
    std::string title;
};

struct LendBook {
    Book::Id book_id;
    std::string reader;
};

struct ReturnBook {
    Book::Id book_id;
};

/// Registers the one handler of each command.
/// @param books  must outlive the bus
template <class Books>
void open_desk(escqrs::CommandBus& bus, const Books& books)
{
    using escqrs::Metadata;
    bus.handle<AcquireBook>([&books](const AcquireBook& command, const Metadata& metadata) {
        Book book = Book::acquire(command.book_id, command.title);
        return books.save(book, metadata);
    });
    bus.handle<LendBook>([&books](const LendBook& command, const Metadata& metadata) {
        const auto lend = [&](Book& book) { book.lend_to(command.reader); };
        return books.execute(command.book_id, lend, metadata);
    });
    bus.handle<ReturnBook>([&books](const ReturnBook& command, const Metadata& metadata) {
        const auto take_back = [](Book& book) { book.take_back(); };
        return books.execute(command.book_id, take_back, metadata);
    });
}

} // namespace lending
