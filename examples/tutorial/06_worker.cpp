// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// The whole way. A relay puts the stored events on a queue, as CloudEvents; a worker in another thread, which might be
// another process, takes them off and keeps a read model in a database of its own.
#include "book.hpp"
#include "desk.hpp"

#include <escqrs/in_memory/checkpoint.hpp>
#include <escqrs/messaging/cloud_events.hpp>
#include <escqrs/messaging/message_processor.hpp>
#include <escqrs/messaging/relay.hpp>
#include <escqrs/sqlite/event_store.hpp>
#include <escqrs/sqlite/message_queue.hpp>
#include <escqrs/sqlite/stream_read_model.hpp>

#include <cstddef>
#include <filesystem>
#include <iostream>
#include <latch>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>

using namespace lending;

namespace {

using BookMessages = escqrs::CloudEvents<Book::EventTypes>;

/// What the library has, and where it is: a table, and who writes it.
class Shelves {
public:
    explicit Shelves(escqrs::sqlite::Database& database) : database_{&database} {}

    void handle(const BookAcquired& event, const escqrs::EventContext& context)
    {
        insert_.run(context.stream.text(), event.title);
    }
    void handle(const BookLent& event, const escqrs::EventContext& context)
    {
        update_.run(event.reader, context.stream.text());
    }
    void handle(const BookReturned&, const escqrs::EventContext& context)
    {
        if (failures_left_-- > 0) throw std::runtime_error{"the shelf is locked"};
        update_.run("", context.stream.text());
    }

    friend std::ostream& operator<<(std::ostream& out, Shelves& shelves)
    {
        auto rows = shelves.select_.query();
        while (rows.next()) {
            out << "  " << rows.text(0) << ": " << (rows.text(1).empty() ? "on the shelf" : rows.text(1)) << '\n';
        }
        return out;
    }

private:
    static escqrs::sqlite::Database& with_table(escqrs::sqlite::Database& database)
    {
        database.execute("CREATE TABLE shelf (book TEXT PRIMARY KEY, title TEXT NOT NULL, reader TEXT NOT NULL)");
        return database;
    }

    escqrs::sqlite::Database* database_;
    escqrs::sqlite::Statement insert_{with_table(*database_), "INSERT INTO shelf VALUES (?, ?, '')"};
    escqrs::sqlite::Statement update_{*database_, "UPDATE shelf SET reader = ? WHERE book = ?"};
    escqrs::sqlite::Statement select_{*database_, "SELECT title, reader FROM shelf ORDER BY title"};
    int failures_left_ = 2;
};

/// Opens each file anew, also when the program has run before.
std::string new_file(const std::string& name)
{
    for (const char* part : {"", "-wal", "-shm"}) std::filesystem::remove(name + part);
    return name;
}

} // namespace

int main()
{
    escqrs::sqlite::EventStore store{new_file("tutorial-06-events.db")};
    escqrs::sqlite::MessageQueue queue{new_file("tutorial-06-queue.db")};

    // The side that takes commands.
    const escqrs::Repository<Book, escqrs::sqlite::EventStore> books{store};
    escqrs::CommandBus desk;
    open_desk(desk, books);
    const auto dune = Book::Id::parse("00000000-0000-4000-8000-000000000001");
    const auto emma = Book::Id::parse("00000000-0000-4000-8000-000000000002");
    desk.send(AcquireBook{dune, "Dune"});
    desk.send(AcquireBook{emma, "Emma"});
    desk.send(LendBook{dune, "Ada"});
    desk.send(ReturnBook{dune});

    escqrs::in_memory::Checkpoint checkpoint;
    escqrs::Relay relay{store, checkpoint, queue, BookMessages{"/library"}};
    relay.catch_up();
    std::cout << "on the queue: " << queue.counts().active << " messages\n";
    checkpoint.save(escqrs::GlobalPosition{}); // as if the relay had died before it could remember how far it came
    relay.catch_up();
    std::cout << "sent twice, still " << queue.counts().active << '\n';

    escqrs::Message stray;
    stray.message_id = "from-somebody-else";
    stray.body = "hello?";
    queue.send({&stray, 1});

    // The side that keeps the read model.
    escqrs::sqlite::Database database{new_file("tutorial-06-shelves.db")};
    Shelves shelves{database};
    std::latch settled{5}; // 4 events and the stray message
    escqrs::MessageProcessorOptions options;
    options.on_batch = [&](const escqrs::BatchResult& batch) {
        std::cout << "  received " << batch.received << ", completed " << batch.completed << ", abandoned "
                  << batch.abandoned << ", dead-lettered " << batch.dead_lettered << '\n';
        settled.count_down(static_cast<std::ptrdiff_t>(batch.completed + batch.dead_lettered));
    };
    escqrs::MessageProcessor worker{queue, escqrs::sqlite::StreamReadModel{database, "shelves"},
                                    BookMessages{"/library"}, shelves, options};
    {
        const std::jthread thread{[&](const std::stop_token& stop) { worker.run(stop); }};
        settled.wait();
    }

    std::cout << "dead-lettered:\n";
    for (const auto& letter : queue.dead_letters(0, 10)) {
        std::cout << "  " << letter.message.message_id << ", " << letter.reason << ": " << letter.description << '\n';
    }
    std::cout << "the shelves:\n" << shelves;
}
