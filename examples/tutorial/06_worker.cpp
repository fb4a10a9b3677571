// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// The whole way. A relay puts the stored events on a queue, as CloudEvents; a worker in another thread, which might be
// another process, takes them off, publishes them on its event bus, and settles each message when that is done.
#include "catalogue.hpp"
#include "desk.hpp"

#include <escqrs/in_memory/checkpoint.hpp>
#include <escqrs/messaging/cloud_events.hpp>
#include <escqrs/messaging/relay.hpp>
#include <escqrs/sqlite/event_store.hpp>
#include <escqrs/sqlite/message_queue.hpp>

#include <chrono>
#include <filesystem>
#include <iostream>
#include <latch>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

using namespace lending;
using namespace std::chrono_literals;

namespace {

using BookMessages = escqrs::CloudEvents<Book::EventTypes>;

/// Publishes the event that a message holds, and decides what becomes of the message.
escqrs::Disposition handle(const escqrs::Message& message, BookMessages& messages, escqrs::EventBus& events)
{
    try {
        messages.decode(message, [&](const auto& event, const auto& context) { events.publish(event, context); });
        return escqrs::Complete{};
    } catch (const escqrs::CodecError& error) { // will never be readable: people have to look at it
        return escqrs::DeadLetter{"unreadable", error.what()};
    } catch (const escqrs::EventDispatchError& error) { // may pass: deliver it again
        std::cout << "  " << error.what() << '\n';
        return escqrs::Abandon{};
    }
}

/// Takes messages until it is stopped. One at a time, so that what is given back comes again before what follows it.
template <escqrs::MessageReceiver Queue, class Handled>
void work(std::stop_token stop, Queue& queue, escqrs::EventBus& events, Handled handled)
{
    BookMessages messages{"/library"};
    while (!stop.stop_requested()) {
        for (const auto& received : queue.receive(1, 1s, stop)) {
            queue.settle(received, handle(received.message, messages, events));
            handled();
        }
    }
}

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
    escqrs::EventBus events;
    const Catalogue catalogue{events};
    bool is_first_try = true;
    const auto mail = events.subscribe<BookReturned>([&](const BookReturned& event) {
        if (std::exchange(is_first_try, false)) throw std::runtime_error{"the mail server is busy"};
        std::cout << "  mail to " << event.reader << ": thank you\n";
    });
    {
        std::latch deliveries{6}; // 4 events, one of them twice, and the stray message
        const std::jthread worker{
            [&](std::stop_token stop) { work(stop, queue, events, [&] { deliveries.count_down(); }); }};
        deliveries.wait();
    }

    std::cout << "dead-lettered:\n";
    for (const auto& letter : queue.dead_letters(0, 10)) {
        std::cout << "  " << letter.message.message_id << ", " << letter.reason << ": " << letter.description << '\n';
    }
    std::cout << "the catalogue:\n" << catalogue;
}
