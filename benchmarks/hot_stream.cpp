// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// Eight threads that change one aggregate: with their conflicts tried again, and with the commands sent one at a time by a
// dispatcher. How many commands a second, and how many conflicts each. Over the store in memory, and over one whose answers
// take 0.1 ms, as if it were elsewhere.
#include "../tests/support/account.hpp"

#include <escqrs/commands/dispatcher/command_dispatcher.hpp>
#include <escqrs/commands/middleware/retry_on_conflict.hpp>
#include <escqrs/commands/repository.hpp>
#include <escqrs/in_memory/event_store.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace escqrs;
using account::Account;
using Store = in_memory::EventStore;

constexpr int threads_count = 8;
constexpr int commands_each = 250;

struct Deposit {
    Account::Id account_id;
    std::int64_t cents = 1;
};

/// The plainest pool of threads there is.
class Pool {
public:
    Pool()
    {
        for (int thread = 0; thread < threads_count; ++thread) {
            threads_.emplace_back([this](const std::stop_token& stop) { work(stop); });
        }
    }

    void post(std::function<void()> task)
    {
        {
            const std::scoped_lock lock{mutex_};
            tasks_.push_back(std::move(task));
        }
        changed_.notify_one();
    }

private:
    void work(const std::stop_token& stop)
    {
        std::unique_lock lock{mutex_};
        while (changed_.wait(lock, stop, [&] { return !tasks_.empty(); })) {
            const auto task = std::move(tasks_.front());
            tasks_.pop_front();
            lock.unlock();
            task();
            lock.lock();
        }
    }

    std::mutex mutex_;
    std::condition_variable_any changed_;
    std::deque<std::function<void()>> tasks_;
    std::vector<std::jthread> threads_;
};

void measure(const char* name, bool in_order, std::chrono::microseconds latency)
{
    Store store;
    RepositoryOptions options;
    options.retry.attempts = 1;
    const Repository<Account, Store> accounts{store, options};
    auto account = Account::open(Account::Id{random_uuid()}, "Ada");
    accounts.save(account);

    std::atomic<int> tries{0};
    CommandBus bus;
    bus.handle<Deposit>([&](const Deposit& deposit, const Metadata& metadata) {
        ++tries;
        return accounts.execute(
            deposit.account_id,
            [&](Account& seen) {
                if (latency.count() > 0) std::this_thread::sleep_for(latency);
                seen.deposit(deposit.cents);
            },
            metadata);
    });
    bus.use(retry_on_conflict({1'000'000}));
    Pool pool;
    CommandDispatcher dispatcher{bus, [&](std::function<void()> task) { pool.post(std::move(task)); }};
    if (in_order) dispatcher.in_order_by(&Deposit::account_id);

    constexpr int commands = threads_count * commands_each;
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::future<CommitResult>> results;
    results.reserve(commands);
    for (int command = 0; command < commands; ++command) results.push_back(dispatcher.send(Deposit{account.id()}));
    for (auto& result : results) result.get();
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    std::printf("%-14s %6.0f commands/s, %.3f conflicts each\n", name, commands / elapsed.count(),
                static_cast<double>(tries - commands) / commands);
}

} // namespace

int main()
{
    for (int repetition = 0; repetition < 3; ++repetition) {
        measure("side by side", false, std::chrono::microseconds{0});
        measure("in order", true, std::chrono::microseconds{0});
        measure("  0.1 ms away", false, std::chrono::microseconds{100});
        measure("  in order", true, std::chrono::microseconds{100});
    }
}
