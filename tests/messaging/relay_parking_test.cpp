// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/account.hpp"

#include <escqrs/commands/repository.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/in_memory/checkpoint.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/in_memory/message_queue.hpp>
#include <escqrs/in_memory/parking_lot.hpp>
#include <escqrs/messaging/cloud_events.hpp>
#include <escqrs/messaging/relay.hpp>
#include <escqrs/testing/catch2.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace escqrs;
using account::Account;

namespace {

using Store = in_memory::EventStore;
using AccountEvents = CloudEvents<Account::EventTypes>;
using Versions = std::vector<std::uint64_t>;

constexpr std::size_t max_message_size = 2000;

/// Accounts whose events are sent, some of which are too large for the queue.
struct Bank {
    StreamId open()
    {
        accounts.push_back(Account::open(Account::Id{random_uuid()}, "Ada"));
        repository.save(accounts.back());
        return StreamId{Account::category, accounts.back().id().value()};
    }
    void deposit(std::size_t account, std::size_t note_size = 1)
    {
        accounts[account].deposit(1, std::string(note_size, 'x'));
        repository.save(accounts[account]);
    }

    Store store;
    Repository<Account, Store> repository{store};
    std::vector<Account> accounts;
};

MessageQueueOptions limited()
{
    MessageQueueOptions options;
    options.max_message_size = max_message_size;
    return options;
}

/// What is on the queue and was not before, as versions by stream, in the order sent.
std::map<std::string, Versions> drain(in_memory::MessageQueue& queue)
{
    std::map<std::string, Versions> drained;
    while (true) {
        const auto received = queue.receive(100, Duration{0}, {});
        if (received.empty()) return drained;
        for (const auto& message : received) {
            drained[message.message.session_id].push_back(
                std::stoull(std::string{message.message.properties.find("cloudEvents:streamversion").value()}));
            queue.settle(message, Complete{});
        }
    }
}

struct Reports {
    SubscriptionOptions options(std::size_t page_size)
    {
        SubscriptionOptions options;
        options.page_size = page_size;
        options.first_retry_delay = Duration{100};
        options.on_failure = [this](std::exception_ptr failure, Duration) {
            try {
                std::rethrow_exception(std::move(failure));
            } catch (const StreamParked& error) {
                streams.push_back(error.stream().text() + ' ' + std::to_string(error.version().value()) + ' ' +
                                  std::to_string(error.position().value()));
                texts.emplace_back(error.what());
            } catch (const std::exception& error) {
                others.emplace_back(error.what());
            }
        };
        return options;
    }

    std::vector<std::string> streams;
    std::vector<std::string> texts;
    std::vector<std::string> others;
};

std::size_t page_sizes() { return GENERATE(std::size_t{1}, std::size_t{3}, std::size_t{500}); }

/// What outlives a relay.
struct Place {
    in_memory::Checkpoint checkpoint;
    in_memory::ParkingLot lot;
};

/// Refuses the message ids that a test names, and fails when the test says so.
struct PickySender {
    void send(std::span<const Message> messages)
    {
        if (is_down) throw TransportError{"no connection"};
        for (const Message& message : messages) {
            if (refused.contains(message.message_id)) throw MessageRefused{message.message_id, "not this one"};
        }
        for (const Message& message : messages) {
            if (fails_after != 0 && --fails_after == 0) throw TransportError{"lost on the way"};
            sent.push_back(message);
        }
    }

    std::set<std::string> refused{};
    std::vector<Message> sent{};
    std::size_t fails_after = 0;
    bool is_down = false;
};

} // namespace

TEST_CASE("an event that the queue refuses parks its stream while other streams continue, and the failure is reported")
{
    Bank bank;
    Place place;
    in_memory::MessageQueue queue{limited()};
    Reports reports;
    const StreamId bad = bank.open();
    const StreamId good = bank.open();
    bank.deposit(0, 1);
    bank.deposit(0, max_message_size);
    bank.deposit(1);
    bank.deposit(0, 1);
    Relay relay{bank.store, place.checkpoint, place.lot, queue, AccountEvents{"/bank"}, reports.options(page_sizes())};
    CHECK(relay.catch_up() == GlobalPosition{6});
    CHECK(place.checkpoint.load() == GlobalPosition{6});
    CHECK(relay.position() == GlobalPosition{6});
    CHECK(drain(queue) == std::map<std::string, Versions>{{bad.text(), {1, 2}}, {good.text(), {1, 2}}});

    CHECK(reports.streams == std::vector{bad.text() + " 3 4"});
    CHECK_THAT(reports.texts.at(0), Catch::Contains(bad.text()) && Catch::Contains("max_message_size"));
    CHECK(reports.others.empty());
    const auto parked = relay.parked();
    REQUIRE(parked.size() == 1);
    CHECK(parked[0].stream == bad);
    CHECK(parked[0].version == StreamVersion{3});
    CHECK(parked[0].position == GlobalPosition{4});
    CHECK(parked[0].last == StreamVersion{4});
    CHECK(parked[0].events == 2);
    CHECK_THAT(parked[0].error, Catch::Contains("max_message_size"));

    bank.deposit(0);
    bank.deposit(1);
    relay.catch_up();
    CHECK(drain(queue) == std::map<std::string, Versions>{{good.text(), {3}}});
    CHECK(relay.parked().at(0).events == 3);
    CHECK(reports.streams.size() == 1);

    SECTION("still too large: it stays")
    {
        const auto before = relay.parked();
        CHECK_FALSE(relay.replay(bad));
        CHECK(relay.parked() == before);
        CHECK(drain(queue).empty());
    }
    SECTION("a queue that takes more gets the rest, in order, and the stream continues")
    {
        in_memory::MessageQueue larger;
        Relay successor{bank.store, place.checkpoint, place.lot, larger, AccountEvents{"/bank"}, reports.options(2)};
        bank.deposit(0); // not read yet: not to be replayed
        CHECK(successor.replay(bad));
        CHECK(drain(larger) == std::map<std::string, Versions>{{bad.text(), {3, 4, 5}}});
        CHECK(successor.parked().empty());
        successor.catch_up();
        CHECK(drain(larger) == std::map<std::string, Versions>{{bad.text(), {6}}});
    }
    CHECK(relay.replay(good));
}

TEST_CASE("an event of which no message can be made parks its stream as well")
{
    Bank bank;
    Place place;
    in_memory::MessageQueue queue;
    Reports reports;
    const StreamId bad = bank.open();
    const StreamId good = bank.open();
    bank.deposit(0);
    bank.deposit(1);
    bank.deposit(0);
    AccountEvents events{"/bank"};
    bool is_fixed = false;
    const bool is_std = GENERATE(true, false);
    const auto translate = [&](const RecordedEvent& event) {
        if (!is_fixed && event.stream == bad && event.version == StreamVersion{2}) {
            if (is_std) throw std::runtime_error{"no word for it"};
            throw 42; // NOLINT(hicpp-exception-baseclass): whatever is thrown
        }
        return events(event);
    };
    Relay relay{bank.store, place.checkpoint, place.lot, queue, translate, reports.options(page_sizes())};
    CHECK(relay.catch_up() == GlobalPosition{5});
    CHECK(drain(queue) == std::map<std::string, Versions>{{bad.text(), {1}}, {good.text(), {1, 2}}});
    CHECK(reports.streams == std::vector{bad.text() + " 2 3"});
    CHECK_THAT(relay.parked().at(0).error, Catch::Contains(is_std ? "no word for it" : "not a std::exception"));
    is_fixed = true;
    CHECK(relay.replay(bad));
    CHECK(drain(queue) == std::map<std::string, Versions>{{bad.text(), {2, 3}}});
}

TEST_CASE("a failure that says nothing about the message parks nothing")
{
    Bank bank;
    Place place;
    PickySender sender;
    bank.open();
    bank.deposit(0);
    bool is_store_down = false;
    AccountEvents events{"/bank"};
    const auto translate = [&](const RecordedEvent& event) {
        if (is_store_down) throw StoreError{"no keys today"};
        return events(event);
    };
    Relay relay{bank.store, place.checkpoint, place.lot, sender, translate};
    SECTION("of the sender")
    {
        sender.is_down = true;
        CHECK_THROWS_AS(relay.catch_up(), TransportError);
    }
    SECTION("of what translates")
    {
        is_store_down = true;
        CHECK_THROWS_AS(relay.catch_up(), StoreError);
    }
    SECTION("a refusal of a message that was never sent")
    {
        sender.refused = {""};
        const auto nameless = [](const RecordedEvent&) { return Message{}; };
        in_memory::Checkpoint other;
        struct Liar {
            void send(std::span<const Message>) { throw MessageRefused{"whose", "it"}; }
        } liar;
        Relay lied_to{bank.store, other, place.lot, liar, nameless};
        CHECK_THROWS_AS(lied_to.catch_up(), MessageRefused);
        CHECK(other.load() == GlobalPosition{});
    }
    CHECK(place.checkpoint.load() == GlobalPosition{});
    CHECK(relay.parked().empty());
    sender.is_down = is_store_down = false;
    relay.catch_up();
    CHECK(sender.sent.size() == 2);
}

TEST_CASE("without a parking lot, the checkpoint stays before what is parked, and a new relay tries it again")
{
    Bank bank;
    in_memory::Checkpoint place;
    in_memory::MessageQueue queue{limited()};
    Reports reports;
    const StreamId good = bank.open();
    const StreamId bad = bank.open();
    bank.deposit(1, max_message_size);
    bank.deposit(0);
    const std::size_t page_size = page_sizes();
    {
        Relay relay{bank.store, place, queue, AccountEvents{"/bank"}, reports.options(page_size)};
        CHECK_THROWS_AS(relay.catch_up(), StreamParked);
        CHECK(drain(queue) == std::map<std::string, Versions>{{bad.text(), {1}}, {good.text(), {1, 2}}});
        CHECK(place.load() == GlobalPosition{2});
        CHECK(relay.position() == GlobalPosition{2});
        CHECK(relay.parked().at(0).stream == bad);

        bank.deposit(0);
        bank.deposit(1);
        CHECK(relay.catch_up() == GlobalPosition{6}); // nothing new went wrong
        CHECK(drain(queue) == std::map<std::string, Versions>{{good.text(), {3}}});
        CHECK(place.load() == GlobalPosition{2});
        CHECK(relay.parked().at(0).events == 2);
        CHECK_FALSE(relay.replay(bad));
        CHECK(reports.streams == std::vector{bad.text() + " 2 3"});
    }
    SECTION("too large for ever: it is reported again, and what was sent since is a duplicate")
    {
        Relay successor{bank.store, place, queue, AccountEvents{"/bank"}, reports.options(page_size)};
        CHECK_THROWS_AS(successor.catch_up(), StreamParked);
        CHECK(drain(queue).empty());
        CHECK(reports.streams.size() == 2);
    }
    SECTION("a queue that takes more gets it")
    {
        in_memory::MessageQueue larger;
        Relay successor{bank.store, place, larger, AccountEvents{"/bank"}, reports.options(page_size)};
        CHECK(successor.catch_up() == GlobalPosition{6});
        CHECK(drain(larger)[bad.text()] == Versions{2, 3});
        CHECK(place.load() == GlobalPosition{6});
    }
    SECTION("replayed by the relay that has parked it, it no longer holds the checkpoint")
    {
        PickySender sender;
        const auto refused = [&](std::uint64_t version) {
            std::string id;
            bank.store.read_stream(bad, StreamVersion{version}, [&](const RecordedEvent& event) {
                id = to_string(event.id);
                return false;
            });
            return id;
        };
        sender.refused = {refused(2)};
        Relay relay{bank.store, place, sender, AccountEvents{"/bank"}, reports.options(page_size)};
        CHECK_THROWS_AS(relay.catch_up(), StreamParked);
        sender.refused.clear();
        CHECK(relay.replay(bad));
        CHECK(place.load() == GlobalPosition{6});
    }
}

TEST_CASE("a running relay reports what it parks, and is replayed by another thread while it runs")
{
    Bank bank;
    Place place;
    in_memory::MessageQueue queue{limited()};
    in_memory::MessageQueue larger;
    struct Switch {
        void send(std::span<const Message> messages)
        {
            if (*is_large) larger->send(messages);
            else small->send(messages);
        }
        in_memory::MessageQueue* small;
        in_memory::MessageQueue* larger;
        std::atomic<bool>* is_large;
    };
    std::atomic<bool> is_large{false};
    Switch sender{&queue, &larger, &is_large};
    const StreamId bad = bank.open();
    const StreamId good = bank.open();
    bank.deposit(0, max_message_size);
    std::atomic<int> reported{0};
    SubscriptionOptions options;
    options.page_size = 2;
    options.on_failure = [&](const std::exception_ptr&, Duration) { ++reported; };
    Relay relay{bank.store, place.checkpoint, place.lot, sender, AccountEvents{"/bank"}, options};
    {
        const escqrs::jthread running{[&](escqrs::stop_token stop) { relay.run(std::move(stop)); }};
        for (int round = 0; round < 20; ++round) {
            bank.deposit(0);
            bank.deposit(1);
        }
        while (relay.position() < GlobalPosition{20}) std::this_thread::yield();
        CHECK(relay.parked().size() == 1);
        is_large = true;
        CHECK(relay.replay(bad));
        bank.deposit(0);
        while (relay.position() < bank.store.head()) std::this_thread::yield();
    }
    CHECK(reported == 1);
    auto all = drain(queue);
    for (const auto& [stream, versions] : drain(larger)) {
        all[stream].insert(all[stream].end(), versions.begin(), versions.end());
    }
    Versions expected;
    for (std::uint64_t version = 1; version <= 23; ++version) expected.push_back(version);
    CHECK(all[bad.text()] == expected);
    expected.resize(21);
    CHECK(all[good.text()] == expected);
}

TEST_CASE("whatever is refused, fails and is replayed, every stream is sent whole and in order in the end")
{
    std::minstd_rand random{7};
    for (int round = 0; round < 60; ++round) {
        Bank bank;
        Place place;
        PickySender sender;
        std::vector<StreamId> streams;
        std::vector<std::string> ids;
        for (int account = 0; account < 4; ++account) streams.push_back(bank.open());
        SubscriptionOptions options;
        options.page_size = 1 + random() % 5;
        using Relays = Relay<Store, in_memory::Checkpoint, PickySender, AccountEvents, in_memory::ParkingLot>;
        std::optional<Relays> relay;
        const auto begin = [&] {
            relay.emplace(bank.store, place.checkpoint, place.lot, sender, AccountEvents{"/bank"}, options);
        };
        begin();
        for (int step = 0; step < 60; ++step) {
            switch (random() % 6) {
            case 0:
            case 1: bank.deposit(random() % 4); break;
            case 2: {
                bank.store.read_log(GlobalPosition{1 + random() % bank.store.head().value()}, 1,
                                    [&](const RecordedEvent& event) {
                                        sender.refused.insert(to_string(event.id));
                                        return false;
                                    });
                break;
            }
            case 3: sender.refused.clear(); break;
            case 4: begin(); break;
            default: sender.fails_after = random() % 3;
            }
            try {
                relay->catch_up();
                if (random() % 2 == 0) relay->replay(streams[random() % 4]);
            } catch (const TransportError&) { // NOLINT(bugprone-empty-catch): the next round repeats it
            }
        }
        sender.refused.clear();
        sender.fails_after = 0;
        relay->catch_up();
        for (const StreamId& stream : streams) CHECK(relay->replay(stream));
        CHECK(relay->parked().empty());
        std::map<std::string, std::uint64_t> seen; // as a consumer that tells repeats by the version sees it
        for (const Message& message : sender.sent) {
            const std::uint64_t version =
                std::stoull(std::string{message.properties.find("cloudEvents:streamversion").value()});
            auto& last = seen[message.session_id];
            REQUIRE(version <= last + 1);
            last = std::max(last, version);
        }
        for (std::size_t account = 0; account < 4; ++account) {
            REQUIRE(seen[streams[account].text()] == bank.accounts[account].version().value());
        }
    }
}
