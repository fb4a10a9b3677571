// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/account.hpp"
#include "support/tally.hpp"

#include <escqrs/commands/command_bus.hpp>
#include <escqrs/commands/decider_handler.hpp>
#include <escqrs/commands/middleware/deduplication.hpp>
#include <escqrs/commands/repository.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/manual_clock.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <latch>
#include <optional>
#include <stdexcept>
#include <vector>

using namespace escqrs;
using account::Account;

namespace {

using Store = in_memory::EventStore;
using Accounts = Repository<Account, Store>;

struct OpenAccount {
    std::string owner;
};

struct Deposit {
    Account::Id account_id;
    std::int64_t cents = 0;
};

struct Count {
    using Result = int;
};

Metadata with_id(const CommandId& id = CommandId{random_uuid()})
{
    Metadata metadata;
    metadata.command_id = id;
    return metadata;
}

/// Accounts whose ids the handler draws at random, so that a repeat is not recognised by its stream.
struct Bank {
    Bank()
    {
        bus.handle(on<OpenAccount>([this](const OpenAccount& command, const Metadata& metadata) {
                       ++handled;
                       auto account = Account::open(Account::Id{random_uuid()}, command.owner);
                       before_save();
                       return accounts.save(account, metadata);
                   }),
                   on<Deposit>([this](const Deposit& command, const Metadata& metadata) {
                       ++handled;
                       auto account = accounts.get(command.account_id);
                       if (account.balance() != 0) throw std::domain_error{"only the first deposit is welcome"};
                       account.deposit(command.cents);
                       return accounts.save(account, metadata);
                   }));
        bus.use(deduplication(accounts, clock));
    }

    testing::ManualClock clock;
    Store store;
    Accounts accounts{store};
    CommandBus bus{clock};
    std::atomic<int> handled{0};
    std::function<void()> before_save = [] {};
};

} // namespace

TEST_CASE("a repeated creation has its effect once, whatever its handler draws")
{
    Bank bank;
    const auto metadata = with_id();
    const auto first = bank.bus.send(OpenAccount{"Ada"}, metadata);
    const auto again = bank.bus.send(OpenAccount{"Ada"}, metadata);
    CHECK(again == first);
    CHECK(bank.handled == 1);
    CHECK(bank.store.head() == GlobalPosition{1});
}

TEST_CASE("a repeat is not refused for what its own first try has done")
{
    Bank bank;
    auto account = Account::open(Account::Id{random_uuid()}, "Ada");
    bank.accounts.save(account);
    const auto metadata = with_id();
    const auto first = bank.bus.send(Deposit{account.id(), 5}, metadata);
    CHECK(bank.bus.send(Deposit{account.id(), 5}, metadata) == first);
    CHECK_THROWS_AS(bank.bus.send(Deposit{account.id(), 5}, with_id()), std::domain_error);
}

TEST_CASE("a repeat is recognised by another bus, as after a restart")
{
    Bank bank;
    const auto metadata = with_id();
    const auto first = bank.bus.send(OpenAccount{"Ada"}, metadata);
    CommandBus restarted;
    restarted.handle<OpenAccount>([](const OpenAccount&) -> CommitResult { throw std::logic_error{"handled again"}; });
    const Accounts accounts{bank.store};
    restarted.use(deduplication(accounts));
    CHECK(restarted.send(OpenAccount{"Ada"}, metadata) == first);
}

TEST_CASE("commands without an id, or with different ids, are different commands")
{
    Bank bank;
    bank.before_save = [&] { // the second one comes while the first is being handled
        if (bank.handled > 1) return;
        const SendOptions options{{}, bank.clock.now() + std::chrono::hours{1}};
        auto second = std::async(std::launch::async, [&] { return bank.bus.send(OpenAccount{"Ada"}, {}, options); });
        const auto is_over = [&] { return second.wait_for(std::chrono::milliseconds{1}) == std::future_status::ready; };
        while (bank.clock.waiting() == 0 && !is_over()) {}
        CHECK(bank.clock.waiting() == 0);
        bank.clock.advance(std::chrono::hours{1}); // ends the wait that there should not be
    };
    bank.bus.send(OpenAccount{"Ada"});
    bank.bus.send(OpenAccount{"Ada"}, with_id());
    bank.bus.send(OpenAccount{"Ada"}, with_id());
    CHECK(bank.handled == 4);
    CHECK(bank.store.head() == GlobalPosition{4});
}

TEST_CASE("a try that stored nothing is no first try")
{
    Bank bank;
    const auto metadata = with_id();
    bank.before_save = [] { throw StoreError{"disk full"}; };
    CHECK_THROWS_AS(bank.bus.send(OpenAccount{"Ada"}, metadata), StoreError);
    bank.before_save = [] {};
    CHECK(bank.bus.send(OpenAccount{"Ada"}, metadata).version == StreamVersion{1});
    CHECK(bank.handled == 2);
}

TEST_CASE("commands with another result pass")
{
    Bank bank;
    int calls = 0;
    bank.bus.handle<Count>([&](const Count&) { return ++calls; });
    const auto metadata = with_id();
    CHECK(bank.bus.send(Count{}, metadata) == 1);
    CHECK(bank.bus.send(Count{}, metadata) == 2);
}

TEST_CASE("a duplicate waits for the command under way, and gets its result")
{
    Bank bank;
    const auto metadata = with_id();
    std::promise<void> go_on;
    std::latch is_in_handler{1};
    bank.before_save = [&] {
        is_in_handler.count_down();
        go_on.get_future().wait();
    };
    auto first = std::async(std::launch::async, [&] { return bank.bus.send(OpenAccount{"Ada"}, metadata); });
    is_in_handler.wait();

    escqrs::stop_source stop;
    auto stopped =
        std::async(std::launch::async, [&] { return bank.bus.send(OpenAccount{"Ada"}, metadata, {stop.get_token()}); });
    auto late = std::async(std::launch::async, [&] {
        return bank.bus.send(OpenAccount{"Ada"}, metadata, {{}, bank.clock.now() + Duration{5}});
    });
    auto patient = std::async(std::launch::async, [&] { return bank.bus.send(OpenAccount{"Ada"}, metadata); });
    bank.clock.await_waiting(3);
    stop.request_stop();
    CHECK_THROWS_AS(stopped.get(), CommandCancelled);
    bank.clock.advance(Duration{5});
    CHECK_THROWS_AS(late.get(), CommandDeadlineExceeded);
    CHECK(bank.handled == 1);

    go_on.set_value();
    const auto result = first.get();
    CHECK(patient.get() == result);
    CHECK(bank.handled == 1);
    CHECK(bank.store.head() == GlobalPosition{1});
}

TEST_CASE("a duplicate of a command that failed is handled in its turn")
{
    Bank bank;
    const auto metadata = with_id();
    std::promise<void> go_on;
    std::latch is_in_handler{1};
    bank.before_save = [&] {
        if (bank.handled > 1) return;
        is_in_handler.count_down();
        go_on.get_future().wait();
        throw StoreError{"disk full"};
    };
    auto first = std::async(std::launch::async, [&] { return bank.bus.send(OpenAccount{"Ada"}, metadata); });
    is_in_handler.wait();
    auto second = std::async(std::launch::async, [&] { return bank.bus.send(OpenAccount{"Ada"}, metadata); });
    bank.clock.await_waiting(1);
    go_on.set_value();
    CHECK_THROWS_AS(first.get(), StoreError);
    CHECK(second.get().version == StreamVersion{1});
}

TEST_CASE("many duplicates on many threads store once and get one result")
{
    Bank bank;
    constexpr std::size_t threads_count = 8;
    for (int round = 0; round < 50; ++round) {
        const auto metadata = with_id();
        std::vector<std::optional<CommitResult>> results(threads_count);
        {
            std::latch start{threads_count};
            std::vector<escqrs::jthread> threads;
            for (auto& result : results) {
                threads.emplace_back([&] {
                    start.arrive_and_wait();
                    result = bank.bus.send(OpenAccount{"Ada"}, metadata);
                });
            }
        }
        for (const auto& result : results) CHECK(result == results.front());
    }
    CHECK(bank.handled == 50);
    CHECK(bank.store.head() == GlobalPosition{50});
}

TEST_CASE("duplicates that meet in two processes have their effect once")
{
    Bank bank;
    Store& store = bank.store;
    const auto metadata = with_id();
    const auto account_id = Account::Id{random_uuid()};
    std::optional<CommitResult> others; // what the other process got, between this one's decision and its append

    CommandBus other; // with its own commands under way, as in another process
    const Accounts other_accounts{store};
    other.use(deduplication(other_accounts));
    CommandBus here;
    here.use(deduplication(bank.accounts));
    const auto open = [](const Accounts& accounts, const Account::Id& id, const Metadata& with, auto before_save) {
        auto account = Account::open(id, "Ada");
        before_save();
        return accounts.save(account, with);
    };
    const auto send_to_other = [&](const auto& command) {
        if (!others) others = other.send(command, metadata);
    };

    SECTION("a handler that changes an aggregate, and then would refuse itself")
    {
        auto opened = Account::open(account_id, "Ada");
        bank.accounts.save(opened);
        const auto deposit = [](const Accounts& accounts, const Deposit& command, const Metadata& with, auto decided) {
            return accounts.execute(
                command.account_id,
                [&](Account& account) {
                    if (account.balance() != 0) throw std::domain_error{"only the first deposit is welcome"};
                    account.deposit(command.cents);
                    decided();
                },
                with);
        };
        other.handle<Deposit>([&](const Deposit& command, const Metadata& with) {
            return deposit(other_accounts, command, with, [] {});
        });
        here.handle<Deposit>([&](const Deposit& command, const Metadata& with) {
            return deposit(bank.accounts, command, with, [&] { send_to_other(command); });
        });
        CHECK(here.send(Deposit{account_id, 5}, metadata) == others);
        CHECK(bank.accounts.get(account_id).balance() == 5);
    }
    SECTION("a handler that saves a new aggregate under the same id")
    {
        other.handle<OpenAccount>(
            [&](const OpenAccount&, const Metadata& with) { return open(other_accounts, account_id, with, [] {}); });
        here.handle<OpenAccount>([&](const OpenAccount& command, const Metadata& with) {
            return open(bank.accounts, account_id, with, [&] { send_to_other(command); });
        });
        CHECK(here.send(OpenAccount{"Ada"}, metadata) == others);
        CHECK(store.head() == GlobalPosition{1});
    }
    SECTION("a handler that draws another id each time")
    {
        other.handle<OpenAccount>([&](const OpenAccount&, const Metadata& with) {
            return open(other_accounts, Account::Id{random_uuid()}, with, [] {});
        });
        here.handle<OpenAccount>([&](const OpenAccount& command, const Metadata& with) {
            return open(bank.accounts, Account::Id{random_uuid()}, with, [&] { send_to_other(command); });
        });
        CHECK_THROWS_AS(here.send(OpenAccount{"Ada"}, metadata), CommandIdRefused);
        CHECK(store.head() == GlobalPosition{1});
        CHECK(here.send(OpenAccount{"Ada"}, metadata) == others);
    }
}

TEST_CASE("a command id that has changed another stream is refused, if the handler names the stream it changes")
{
    in_memory::EventStore store;
    const Repository<Decided<tally::Sum>, Store> sums{store};
    const Accounts accounts{store};
    CommandBus bus;
    bus.use(deduplication(accounts));
    int decided = 0;
    bus.handle(decided_by(sums, &tally::Sum::Add::sum),
               on<Deposit>(
                   [&](const Deposit& command, const Metadata& metadata) {
                       ++decided;
                       return accounts.execute_or_begin(
                           command.account_id, [&](Account& account) { account.deposit(command.cents); }, metadata);
                   },
                   [](const Deposit& command) { return Accounts::stream_of(command.account_id); }));
    const DeciderId<tally::Sum> sum{random_uuid()};
    const Account::Id account{sum.value()};
    const auto by_decider = with_id();
    const auto by_handler = with_id();
    const auto added = bus.send(tally::Sum::Add{sum, {1, 2}}, by_decider);
    const auto deposited = bus.send(Deposit{account, 5}, by_handler);
    CHECK(bus.send(tally::Sum::Add{sum, {1, 2}}, by_decider) == added);
    CHECK(bus.send(Deposit{account, 5}, by_handler) == deposited);

    const Account::Id other{random_uuid()};
    CHECK_THROWS_AS(bus.send(tally::Sum::Add{DeciderId<tally::Sum>{random_uuid()}, {1, 2}}, by_decider),
                    CommandIdRefused);
    CHECK_THROWS_AS(bus.send(tally::Sum::Add{sum, {1, 2}}, by_handler), CommandIdRefused);
    CHECK_THROWS_AS(bus.send(Deposit{account, 5}, by_decider), CommandIdRefused);
    try {
        bus.send(Deposit{other, 5}, by_handler);
        FAIL("it was taken for a repeat");
    } catch (const CommandIdRefused& refused) {
        CHECK(refused.command() == by_handler.command_id);
        CHECK(refused.stream() == Accounts::stream_of(other));
        CHECK(refused.stored_in() == deposited.stream);
    }
    CHECK(decided == 1);
    CHECK(store.head() == GlobalPosition{3});
}

TEST_CASE("what a handler sends on with the same id is not taken for a repeat of it")
{
    Bank bank;
    int calls = 0;
    struct Inner {};
    struct Outer {};
    bank.bus.handle(on<Inner>([&](const Inner&) {
                        ++calls;
                        return CommitResult{StreamId{"a", "1"}, {}, {}};
                    }),
                    on<Outer>([&](const Outer&, const Metadata& metadata) {
                        auto account = Account::open(Account::Id{random_uuid()}, "Ada");
                        auto result = bank.accounts.save(account, metadata);
                        bank.bus.send(Inner{}, metadata);
                        return result;
                    }));
    const auto metadata = with_id();
    const auto first = bank.bus.send(Outer{}, metadata);
    CHECK(calls == 1);
    CHECK(bank.bus.send(Outer{}, metadata) == first);
    CHECK(calls == 1);
}
