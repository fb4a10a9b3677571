// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// The same library over an SQLite file: what was stored survives the end of the program, and a command that is sent again
// on the next day still has its effect only once.
#include "desk.hpp"

#include <escqrs/sqlite/event_store.hpp>

#include <filesystem>
#include <iostream>
#include <memory>
#include <string>

using namespace lending;

namespace {

const auto dune = Book::Id::parse("00000000-0000-4000-8000-000000000001");

/// What one run of the program opens, and closes at its end. AnyEventStore is a store chosen at run time.
struct Library {
    explicit Library(const std::string& file) : store{std::make_shared<escqrs::sqlite::EventStore>(file)}
    {
        open_desk(desk, books);
    }

    escqrs::AnyEventStore store;
    escqrs::Repository<Book> books{store};
    escqrs::CommandBus desk;
};

void first_day(const std::string& file, const escqrs::Metadata& lending)
{
    Library library{file};
    library.desk.send(AcquireBook{dune, "Dune"});
    const auto lent = library.desk.send(LendBook{dune, "Ada"}, lending);
    std::cout << "first day: lent at version " << lent.version.value() << '\n';
}

void second_day(const std::string& file, const escqrs::Metadata& lending)
{
    Library library{file};
    const Book book = library.books.get(dune);
    std::cout << "second day: " << book.title() << " is with " << book.reader() << '\n';

    const auto again = library.desk.send(LendBook{dune, "Ada"}, lending);
    std::cout << "lent, once and for all, at version " << again.version.value() << '\n';
    library.desk.send(ReturnBook{dune});

    std::cout << "the log:\n";
    library.store.read_log(escqrs::GlobalPosition{}, 100, [](const escqrs::RecordedEvent& event) {
        std::cout << "  " << event.position.value() << ' ' << event.type << '\n';
        return true;
    });
}

} // namespace

int main()
{
    const std::string file = "tutorial-05.db";
    for (const char* part : {"", "-wal", "-shm"}) std::filesystem::remove(file + part); // left by an earlier run

    escqrs::Metadata lending;
    lending.command_id = escqrs::CommandId::parse("00000000-0000-4000-8000-0000000000c1");
    first_day(file, lending);
    second_day(file, lending);
}
