// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// Everything around the handlers: commands are checked, repeats recognised, conflicts tried again, and outcomes
// reported; and commands are sent onto the threads of an executor, those for one book in order.
#include "desk.hpp"

#include <escqrs/commands/dispatcher/command_dispatcher.hpp>
#include <escqrs/commands/middleware/deduplication.hpp>
#include <escqrs/commands/middleware/retry_on_conflict.hpp>
#include <escqrs/commands/middleware/timing.hpp>
#include <escqrs/commands/middleware/tracing.hpp>
#include <escqrs/commands/middleware/validation.hpp>
#include <escqrs/in_memory/event_store.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include <functional>
#include <iostream>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

using namespace lending;

int main()
{
    escqrs::in_memory::EventStore store;
    escqrs::RepositoryOptions options;
    options.retry.attempts = 1; // the bus tries again
    const escqrs::Repository<Book, escqrs::in_memory::EventStore> books{store, options};

    escqrs::CommandBus bus;
    open_desk(bus, books);

    std::vector<std::string> told; // one at a time: the commands below are for one book
    bus.use(escqrs::timing([&](const escqrs::CommandTiming& timing) {
        told.push_back(std::string{timing.command.name} + (timing.error ? " failed" : " done"));
    }));
    bus.use(escqrs::tracing([&](const escqrs::CommandSpan& span) {
        if (!span.end && span.parent_span_id.empty()) told.emplace_back("a trace begins");
    }));
    bus.use(escqrs::validation<LendBook>([](const LendBook& command) {
        std::vector<std::string> problems;
        if (command.reader.empty()) problems.emplace_back("a reader is missing");
        return problems;
    }));
    bus.use(escqrs::deduplication(books));
    bus.use(escqrs::retry_on_conflict());

    // Results arrive in futures. Commands for one book run one at a time, in order; others side by side.
    boost::asio::thread_pool pool{2};
    const boost::asio::any_io_executor executor = pool.get_executor();
    escqrs::CommandDispatcher dispatcher{
        bus, [executor](std::function<void()> task) { boost::asio::post(executor, std::move(task)); }};
    dispatcher.in_order_by(&AcquireBook::book_id, &LendBook::book_id, &ReturnBook::book_id);

    const auto dune = Book::Id::parse("00000000-0000-4000-8000-000000000001");
    escqrs::Metadata metadata;
    metadata.command_id = escqrs::CommandId::parse("00000000-0000-4000-8000-0000000000c1");
    std::stop_source stop;
    auto acquired = dispatcher.send(AcquireBook{dune, "Dune"}, metadata);
    auto again = dispatcher.send(AcquireBook{dune, "Dune"}, metadata);
    auto nobody = dispatcher.send(LendBook{dune, ""});
    auto lent = dispatcher.send(LendBook{dune, "Ada"});
    stop.request_stop();
    auto stopped = dispatcher.send(ReturnBook{dune}, {}, {stop.get_token()});

    std::cout << std::boolalpha << "the same answer: " << (acquired.get() == again.get()) << '\n';
    try {
        nobody.get();
    } catch (const escqrs::InvalidCommand& error) {
        std::cout << error.what() << '\n';
    }
    std::cout << "lent at version " << lent.get().version.value() << '\n';
    try {
        stopped.get();
    } catch (const escqrs::CommandCancelled& error) {
        std::cout << error.what() << '\n';
    }
    pool.join();
    for (const auto& line : told) std::cout << line << '\n';
}
