// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// Between its tries, a repository minds the command's deadline and stop token.
#include "support/account.hpp"

#include <escqrs/commands/command_bus.hpp>
#include <escqrs/commands/repository.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/manual_clock.hpp>

#include <atomic>
#include <thread>

using namespace escqrs;
using namespace account;
using namespace std::chrono_literals;

namespace {

using Accounts = Repository<Account, in_memory::EventStore>;

struct Deposit {
    Account::Id account;
};

/// An account on which each try meets a conflict, up to the tenth.
struct Contention {
    Contention()
    {
        bus.handle<Deposit>([this](const Deposit& deposit, const CommandContext& context) {
            return accounts.execute(
                deposit.account,
                [this](Account& account) {
                    ++tries;
                    auto other = accounts.get(account.id());
                    other.deposit(1);
                    accounts.save(other);
                    account.deposit(100);
                },
                context);
        });
        auto account = Account::open(Account::Id{random_uuid()}, "Ada");
        accounts.save(account);
        command.account = account.id();
    }

    testing::ManualClock clock;
    in_memory::EventStore store;
    Accounts accounts{store, {.retry = {10, 1s, 1s}, .clock = &clock}};
    CommandBus bus{clock};
    Deposit command;
    std::atomic<int> tries{0};
};

} // namespace

TEST_CASE("a repository does not wait beyond the command's deadline", "[repository]")
{
    Contention contention;
    const SendOptions options{.deadline = contention.clock.now() + 500ms};
    // The second try comes at once; a third would come after a second.
    CHECK_THROWS_AS(contention.bus.send(contention.command, no_metadata, options), ConcurrencyError);
    CHECK(contention.tries == 2);
    CHECK(contention.clock.waiting() == 0);
}

TEST_CASE("a stop ends a repository's wait for its next try", "[repository]")
{
    Contention contention;
    escqrs::stop_source stop;
    escqrs::jthread sender{[&] {
        CHECK_THROWS_WITH(contention.bus.send(contention.command, no_metadata, {.stop = stop.get_token()}),
                          "the change of 'account-" + to_string(contention.command.account) +
                              "' was not tried again after a conflict: a stop was requested");
    }};
    while (contention.clock.waiting() == 0 || contention.tries < 2) std::this_thread::yield();
    stop.request_stop();
    sender.join();
    CHECK(contention.tries == 2);
}
