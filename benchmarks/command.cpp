// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// What one command costs through bus, repository and in-memory store, beside the same work written by hand over the same
// store; and how many stored events a second are folded into an aggregate.
#include "../tests/support/account.hpp"

#include <escqrs/command_bus.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/repository.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

using namespace escqrs;
using account::Account;
using Store = in_memory::EventStore;
using Accounts = Repository<Account, Store>;

struct Deposit {
    Account::Id account_id;
    std::int64_t cents;
};

struct Trivial {
    using Result = int;
    int value;
};

constexpr int events_before = 10;

double nanoseconds_each(int count, FunctionRef<void(int)> work)
{
    const auto start = std::chrono::steady_clock::now();
    for (int index = 0; index < count; ++index) work(index);
    const std::chrono::duration<double, std::nano> elapsed = std::chrono::steady_clock::now() - start;
    return elapsed.count() / count;
}

double median(std::vector<double> values)
{
    std::ranges::sort(values);
    return values[values.size() / 2];
}

std::vector<Account::Id> fill(Store& store, int count)
{
    const Accounts accounts{store};
    std::vector<Account::Id> ids;
    for (int index = 0; index < count; ++index) {
        auto account = Account::open(Account::Id{random_uuid()}, "Ada");
        for (int event = 1; event < events_before; ++event) account.deposit(event);
        accounts.save(account);
        ids.push_back(account.id());
    }
    return ids;
}

/// The same command with nothing abstract in it: decode by hand, add, encode by hand, append.
void deposit_by_hand(Store& store, const Account::Id& id, std::int64_t cents)
{
    const StreamId stream{Account::category, id.value()};
    std::int64_t balance = 0;
    std::string owner;
    StreamVersion version;
    store.read_stream(stream, StreamVersion{1}, [&](const RecordedEvent& event) {
        if (event.type == "MoneyDeposited") {
            std::int64_t deposited = 0;
            std::memcpy(&deposited, event.payload.data(), sizeof deposited);
            balance += deposited;
        } else if (event.type == "AccountOpened") {
            owner.assign(reinterpret_cast<const char*>(event.payload.data()) + 1, event.payload.size() - 1);
        }
        version = event.version;
        return true;
    });
    if (balance < 0) std::abort();
    std::byte payload[9]{};
    std::memcpy(payload, &cents, sizeof cents);
    const NewEvent event{EventId{random_uuid()}, "MoneyDeposited", 1, archive::Binary::content_type, payload, {}};
    store.append(stream, ExpectedVersion::exactly(version), {&event, 1});
}

[[gnu::noinline]] int trivial(const Trivial& command) { return command.value + 1; }

} // namespace

int main()
{
    constexpr int accounts_count = 1000;
    constexpr int repetitions = 15;
    std::vector<double> through_bus;
    std::vector<double> by_hand;
    std::vector<double> direct;
    std::vector<double> sent;
    std::vector<double> rehydrated;

    for (int repetition = 0; repetition < repetitions; ++repetition) {
        Store store;
        const Accounts accounts{store};
        CommandBus bus;
        bus.handle<Deposit>([&](const Deposit& deposit, const Metadata& metadata) {
            return accounts.execute(
                deposit.account_id, [&](Account& account) { account.deposit(deposit.cents); }, metadata);
        });
        bus.handle<Trivial>(trivial);
        const auto ours = fill(store, accounts_count);
        const auto theirs = fill(store, accounts_count);
        through_bus.push_back(nanoseconds_each(accounts_count, [&](int index) {
            bus.send(Deposit{ours[static_cast<std::size_t>(index)], 1});
        }));
        by_hand.push_back(nanoseconds_each(
            accounts_count, [&](int index) { deposit_by_hand(store, theirs[static_cast<std::size_t>(index)], 1); }));

        volatile int sink = 0;
        constexpr int calls = 1'000'000;
        direct.push_back(nanoseconds_each(calls, [&](int index) { sink = trivial(Trivial{index}); }));
        sent.push_back(nanoseconds_each(calls, [&](int index) { sink = bus.send(Trivial{index}); }));

        Account big = Account::open(Account::Id{random_uuid()}, "Ada");
        for (int event = 0; event < 100'000; ++event) big.deposit(1);
        accounts.save(big);
        rehydrated.push_back(1e9 / (nanoseconds_each(1, [&](int) { (void)accounts.get(big.id()); }) / 100'001));
    }
    std::printf("command through bus, repository, in-memory store (load 10 events, append 1): %.0f ns, by hand %.0f "
                "ns, ratio %.2f\n",
                median(through_bus), median(by_hand), median(through_bus) / median(by_hand));
    std::printf("CommandBus::send to a trivial handler: %.1f ns, direct call %.1f ns\n", median(sent), median(direct));
    std::printf("events rehydrated: %.1f million/s\n", median(rehydrated) / 1e6);
}
