// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/account.hpp"

#include <escqrs/commands/repository.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/in_memory/checkpoint.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/in_memory/message_queue.hpp>
#include <escqrs/messaging/cloud_events.hpp>
#include <escqrs/messaging/relay.hpp>
#include <escqrs/testing/catch2.hpp>

#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

using namespace escqrs;
using account::Account;

namespace {

using Store = in_memory::EventStore;
using AccountEvents = CloudEvents<Account::EventTypes>;

void append_deposits(Store& store, int accounts_to_open, int deposits)
{
    const Repository<Account, Store> accounts{store};
    for (int index = 0; index < accounts_to_open; ++index) {
        auto account = Account::open(Account::Id{random_uuid()}, "Ada");
        accounts.save(account);
        for (int deposit = 1; deposit <= deposits; ++deposit) {
            account.deposit(deposit);
            accounts.save(account);
        }
    }
}

/// Takes what it is given, and fails before or after taking it as told.
class UnreliableSender {
public:
    void send(std::span<const Message> messages)
    {
        ++calls;
        if (calls % 3 == 1) throw TransportError{"failed before anything was taken"};
        queue->send(messages);
        if (calls % 3 == 2) throw TransportError{"the answer was lost"};
    }

    in_memory::MessageQueue* queue = nullptr;
    int calls = 0;
};

std::vector<Message> drain(in_memory::MessageQueue& queue)
{
    std::vector<Message> drained;
    while (true) {
        const auto received = queue.receive(100, Duration{0}, {});
        if (received.empty()) return drained;
        for (const auto& message : received) {
            drained.push_back(message.message);
            queue.settle(message, Complete{});
        }
    }
}

SubscriptionOptions quick()
{
    SubscriptionOptions options;
    options.page_size = 4;
    options.first_retry_delay = Duration{100};
    return options;
}

} // namespace

TEST_CASE("a relay sends every stored event once, in stream order, and remembers how far it came")
{
    Store store;
    in_memory::Checkpoint place;
    in_memory::MessageQueue queue{MessageQueueOptions{}};
    append_deposits(store, 3, 4);
    Relay relay{store, place, queue, AccountEvents{"/bank"}, quick()};
    CHECK(relay.catch_up() == GlobalPosition{15});
    CHECK(relay.position() == GlobalPosition{15});
    append_deposits(store, 1, 0);
    Relay successor{store, place, queue, AccountEvents{"/bank"}, quick()};
    CHECK(successor.position() == GlobalPosition{15});
    successor.catch_up();

    const auto messages = drain(queue);
    CHECK(messages.size() == 16);
    std::set<std::string> ids;
    std::map<std::string, std::uint64_t> last;
    AccountEvents events{"/bank"};
    for (const auto& message : messages) {
        CHECK(ids.insert(message.message_id).second);
        events.decode(message, [&](const auto&, const EventContext& context) {
            CHECK(context.version.value() == ++last[message.session_id]);
            CHECK(message.session_id == context.stream.text());
        });
    }
}

TEST_CASE("a relay whose queue fails before and after taking messages loses none and doubles none")
{
    Store store;
    in_memory::Checkpoint place;
    in_memory::MessageQueue queue{MessageQueueOptions{}};
    UnreliableSender sender{&queue};
    append_deposits(store, 5, 3);
    {
        Relay relay{store, place, sender, AccountEvents{"/bank"}, quick()};
        escqrs::jthread runner{[&](escqrs::stop_token stop) { relay.run(stop); }};
        while (relay.position() < GlobalPosition{20}) std::this_thread::yield();
        append_deposits(store, 2, 1);
        while (relay.position() < GlobalPosition{24}) std::this_thread::yield();
    }
    CHECK(sender.calls > 6);
    CHECK(drain(queue).size() == 24);
}

TEST_CASE("what the relay has not sent is never checkpointed")
{
    Store store;
    in_memory::Checkpoint place;
    in_memory::MessageQueue queue{MessageQueueOptions{}};
    append_deposits(store, 1, 0);
    UnreliableSender sender{&queue};
    Relay relay{store, place, sender, AccountEvents{"/bank"}, quick()};
    CHECK_THROWS_AS(relay.catch_up(), TransportError);
    CHECK(place.load() == GlobalPosition{});
    CHECK(relay.position() == GlobalPosition{});
}

TEST_CASE("a relay sends streams whole: a filter that would leave gaps in their versions is refused")
{
    Store store;
    in_memory::Checkpoint place;
    in_memory::MessageQueue queue;
    append_deposits(store, 2, 3);
    SubscriptionOptions options = quick();
    const auto catch_up = [&] { return Relay{store, place, queue, AccountEvents{"/bank"}, options}.catch_up(); };

    SECTION("by type")
    {
        options.filter.types = {"MoneyDeposited"};
        CHECK_THROWS_WITH(catch_up(), Catch::Contains("option filter.types: expected whole streams") &&
                                          Catch::Contains("MoneyDeposited"));
    }
    SECTION("by a predicate that goes by the type")
    {
        options.predicate = [](const RecordedEvent& event) { return event.type == "MoneyDeposited"; };
        CHECK_THROWS_WITH(catch_up(), Catch::Contains("option predicate: expected whole streams") &&
                                          Catch::Contains("version 2 of stream 'account-"));
        CHECK(drain(queue).empty());
        CHECK(place.load() == GlobalPosition{});
        // It would be refused for ever, so it is not tried again.
        int failures = 0;
        options.on_failure = [&](const std::exception_ptr&, Duration) { ++failures; };
        Relay relay{store, place, queue, AccountEvents{"/bank"}, options};
        CHECK_THROWS_AS(relay.run({}), InvalidOption);
        CHECK(failures == 1);
    }
    SECTION("but not by category")
    {
        options.filter.categories = {"account"};
        CHECK(catch_up() == store.head());
        CHECK(drain(queue).size() == 8);
    }
    SECTION("nor by a predicate that goes by the stream")
    {
        std::set<std::string> taken;
        options.predicate = [&](const RecordedEvent& event) {
            if (taken.empty()) taken.insert(event.stream.text());
            return taken.contains(event.stream.text());
        };
        CHECK(catch_up() == store.head());
        CHECK(drain(queue).size() == 4);
    }
}
