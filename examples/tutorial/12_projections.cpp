// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// A read model for every day: it runs in a thread, can be waited for, parks what it cannot handle, and is replaced by a
// better one while people read.
#include "desk.hpp"

#include <escqrs/in_memory/checkpoint.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/projections/parallel_subscription.hpp>
#include <escqrs/projections/projection.hpp>
#include <escqrs/sqlite/parking_lot.hpp>
#include <escqrs/sqlite/read_model.hpp>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>

using namespace lending;
using namespace std::chrono_literals;
namespace sqlite = escqrs::sqlite;

namespace {

const std::string file = "tutorial-12.db";
const auto dune = Book::Id::parse("00000000-0000-4000-8000-000000000001");
const auto emma = Book::Id::parse("00000000-0000-4000-8000-000000000002");

/// Each version has its own tables: `loans{v}` is loans_v1, then loans_v2. Readers query `loans`.
sqlite::ReadModelSchema loans_schema(unsigned version)
{
    return {.name = "lending",
            .version = version,
            .tables = {"loans"},
            .sql = "CREATE TABLE loans{v} (reader TEXT PRIMARY KEY, books INTEGER NOT NULL) STRICT"};
}

/// How many books each reader has borrowed. Version 2 takes a reader's name as it is meant, not as it was typed.
class Loans {
public:
    using Events = escqrs::EventList<BookLent>; // the store shows no others

    Loans(sqlite::Database& database, const sqlite::ReadModel& model)
        : version_{model.version()},
          count_{database, model.sql("INSERT INTO loans{v} VALUES (?, 1) ON CONFLICT DO UPDATE SET books = books + 1")},
          clear_{database, model.sql("DELETE FROM loans{v}")}
    {
    }

    void handle(const BookLent& event, const escqrs::EventContext& context)
    {
        if (event.reader == stranger) throw std::runtime_error{"who is " + event.reader};
        count_.run(version_ == 2 && event.reader == "ada" ? "Ada" : event.reader);
        if (!context.is_replay) std::cout << "  mail to " << event.reader << ": enjoy your book\n";
    }
    void clear() { clear_.run(); }

    std::string stranger; ///< a reader whom the mail cannot reach yet

private:
    unsigned version_;
    sqlite::Statement count_;
    sqlite::Statement clear_;
};

/// What a program needs to build one version.
struct LoansProgram {
    LoansProgram(escqrs::in_memory::EventStore& store, unsigned version)
        : model{database, loans_schema(version)}, projection{store, model, parked, loans}
    {
    }

    sqlite::Database database{file};
    sqlite::ReadModel model;
    sqlite::ParkingLot parked = model.parking_lot();
    Loans loans{database, model};
    escqrs::Projection<escqrs::in_memory::EventStore, sqlite::ReadModel, Loans, escqrs::Codec<Loans::Events>,
                       sqlite::ParkingLot>
        projection;
};

void print_loans(const char* when)
{
    sqlite::Database database{file};
    sqlite::Statement select{database, "SELECT reader, books FROM loans ORDER BY reader"};
    std::cout << when << ":\n";
    for (auto rows = select.query(); rows.next();) std::cout << "  " << rows.text(0) << ' ' << rows.integer(1) << '\n';
}

} // namespace

int main()
{
    for (const char* part : {"", "-wal", "-shm"}) std::filesystem::remove(file + part); // left by an earlier run
    escqrs::in_memory::EventStore store;
    const escqrs::Repository<Book, escqrs::in_memory::EventStore> books{store};
    escqrs::CommandBus desk;
    open_desk(desk, books);
    desk.send(AcquireBook{dune, "Dune"});
    desk.send(AcquireBook{emma, "Emma"});

    std::cout << "version 1 runs\n";
    LoansProgram first{store, 1};
    {
        std::jthread runner{[&](std::stop_token stop) { first.projection.run(stop); }};
        const auto lent = desk.send(LendBook{dune, "Ada"});
        const auto deadline = escqrs::system_clock().now() + 10s;
        if (escqrs::wait_for(first.projection, lent.position, deadline)) print_loans("Ada reads what she wrote");
    }

    first.loans.stranger = "Eve";
    desk.send(LendBook{emma, "Eve"}); // cannot be handled
    desk.send(ReturnBook{emma});
    desk.send(LendBook{emma, "Bob"}); // the same book: it has to wait
    desk.send(ReturnBook{dune});
    desk.send(LendBook{dune, "ada"}); // another book
    first.projection.catch_up();
    print_loans("one book is parked, the other continues");
    for (const escqrs::ParkedStream& parked : first.projection.parked()) {
        std::cout << "parked from version " << parked.version.value() << ", " << parked.events
                  << " events: " << parked.error << '\n';
        first.loans.stranger.clear(); // repaired
        first.projection.replay(parked.stream);
    }

    LoansProgram second{store, 2};
    print_loans("version 2 is there and empty, and no reader sees it");
    second.projection.catch_up(); // no mail: the first version has handled these events
    print_loans("version 2 has taken over");
    try {
        first.projection.catch_up();
    } catch (const escqrs::ReadModelSuperseded& error) {
        std::cout << error.what() << '\n';
    }

    std::atomic<int> titles{0};
    escqrs::in_memory::Checkpoint checkpoint;
    escqrs::SubscriptionOptions options;
    options.filter = {.categories = {"book"}, .types = {"BookAcquired"}};
    escqrs::ParallelSubscription labels{store, checkpoint, 4, options};
    labels.catch_up([&](const escqrs::RecordedEvent&) { ++titles; }); // in four threads, each book's events in order
    std::cout << titles << " labels printed\n";
}
