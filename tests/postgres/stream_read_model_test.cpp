// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/postgres/stream_read_model.hpp>

#include <escqrs/commands/repository.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/in_memory/message_queue.hpp>
#include <escqrs/messaging/cloud_events.hpp>
#include <escqrs/messaging/message_processor.hpp>
#include <escqrs/testing/catch2.hpp>

#include "postgres/server.hpp"
#include "support/account.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace {

using namespace escqrs;
using account::Account;
using account::AccountOpened;
using account::MoneyDeposited;
using Messages = CloudEvents<Account::EventTypes>;
using postgres_test::Server;

/// Notes deposits in a table that refuses some.
struct Deposits {
    Deposits(postgres::Connection& connection, const std::string& schema)
        : insert{connection, postgres::with_schema("INSERT INTO {s}.deposits VALUES ($1)", schema)}
    {
    }
    void handle(const MoneyDeposited& event, const EventContext&) { insert.run(event.cents); }

    postgres::Statement insert;
};

/// As a relay would send them.
std::vector<Message> deposits(const std::vector<std::int64_t>& amounts)
{
    in_memory::EventStore store;
    const Repository<Account, in_memory::EventStore> accounts{store};
    for (const std::int64_t cents : amounts) {
        auto account = Account::open(Account::Id{random_uuid()}, "Ada");
        account.deposit(cents);
        accounts.save(account);
    }
    Messages translate{"/test"};
    std::vector<Message> messages;
    store.read_log({}, 1000, [&](const RecordedEvent& event) {
        messages.push_back(translate(event));
        return true;
    });
    return messages;
}

} // namespace

TEST_CASE(
    "a message processor keeps a read model in PostgreSQL, and what the server refuses undoes nothing of the rest")
{
    const std::string schema = Server::shared().new_schema();
    postgres::Connection connection{Server::shared().address()};
    connection.execute(postgres::with_schema(
        "CREATE SCHEMA {s}; CREATE TABLE {s}.deposits (cents bigint CHECK (cents < 100))", schema));
    Deposits handlers{connection, schema};
    in_memory::MessageQueue queue;
    MessageProcessorOptions options;
    options.max_wait = Duration{0};
    options.max_attempts = 2;
    MessageProcessor processor{queue, postgres::StreamReadModel{connection, "deposits", schema}, Messages{"/test"},
                               handlers, options};
    const auto messages = deposits({1, 500, 2});
    queue.send(messages);
    CHECK(processor.work_once() == BatchResult{6, 5, 1, 0});
    CHECK(processor.work_once() == BatchResult{1, 0, 0, 1});
    CHECK(queue.dead_letters(0, 10).at(0).reason == "HandlerFailed");

    MessageQueueOptions forgetful;
    forgetful.duplicate_detection_window = Duration{0};
    in_memory::MessageQueue again{forgetful};
    again.send(messages);
    MessageProcessor other{again, postgres::StreamReadModel{connection, "deposits", schema}, Messages{"/test"},
                           handlers, options};
    CHECK(other.work_once() == BatchResult{6, 5, 1, 0});
    postgres::StreamReadModel model{connection, "deposits", schema};
    model.check_writable();
    postgres::Statement sum{connection,
                            postgres::with_schema("SELECT count(*), sum(cents)::bigint FROM {s}.deposits", schema)};
    auto rows = sum.query();
    REQUIRE(rows.next());
    CHECK(rows.integer(0) == 2);
    CHECK(rows.integer(1) == 3);
}
