// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// The event bus among threads. Under the thread sanitizer these tests say more than they do alone.
#include "support/account.hpp"

#include <escqrs/core/id_generator.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/events/event_bus.hpp>
#include <escqrs/events/snapshot_event_bus.hpp>
#include <escqrs/testing/catch2.hpp>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <thread>
#include <vector>

using namespace escqrs;
using account::AccountOpened;
using account::MoneyDeposited;
using account::StatementSent;

namespace {

constexpr int rounds = 500;

EventContext context()
{
    return {StreamId{"account", "1"}, StreamVersion{1}, GlobalPosition{1}, EventId{random_uuid()}};
}

/// Is dead when its memory is still there, so that a call on a dead one is noticed without a sanitizer, too.
class Listener {
public:
    explicit Listener(std::atomic<int>& calls_on_the_dead) : calls_on_the_dead_{&calls_on_the_dead} {}
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    ~Listener() { is_alive_ = false; }

    void hear()
    {
        if (!is_alive_) ++*calls_on_the_dead_;
        ++heard_; // of one thread at a time: a race here is the sanitizer's to find
    }

private:
    std::atomic<int>* calls_on_the_dead_;
    std::atomic<bool> is_alive_{true};
    std::atomic<int> heard_{0};
};

} // namespace

TEMPLATE_TEST_CASE("publishing, subscribing and disconnecting race without harm", "", EventBus, SnapshotEventBus)
{
    TestType bus;
    std::atomic<int> steady{0};
    const auto connection = bus.template subscribe<MoneyDeposited>([&](const MoneyDeposited&) { ++steady; });
    {
        std::vector<escqrs::jthread> threads;
        for (int thread = 0; thread < 2; ++thread) {
            threads.emplace_back([&] {
                for (int round = 0; round < rounds; ++round) bus.publish(MoneyDeposited{1, ""}, context());
            });
            threads.emplace_back([&] {
                for (int round = 0; round < rounds; ++round) {
                    const auto passing = bus.template subscribe<MoneyDeposited>([](const MoneyDeposited&) {});
                    const auto other = bus.template subscribe<AccountOpened>([](const AccountOpened&) {});
                }
            });
        }
    }
    CHECK(steady == 2 * rounds);
}

TEMPLATE_TEST_CASE("no handler is called on a dead owner while owners come and go and threads publish", "", EventBus,
                   SnapshotEventBus)
{
    TestType bus;
    std::atomic<int> calls_on_the_dead{0};
    std::atomic<bool> is_over{false};
    std::vector<escqrs::jthread> publishers;
    for (int thread = 0; thread < 2; ++thread) {
        publishers.emplace_back([&] {
            while (!is_over) {
                bus.publish(MoneyDeposited{1, ""}, context());
                bus.publish(StatementSent{1}, context());
            }
        });
    }
    {
        std::vector<escqrs::jthread> owners;
        for (int thread = 0; thread < 2; ++thread) {
            owners.emplace_back([&] {
                for (int round = 0; round < rounds; ++round) {
                    const auto typed = std::make_shared<Listener>(calls_on_the_dead);
                    bus.template subscribe<MoneyDeposited>(typed,
                                                           [raw = typed.get()](const MoneyDeposited&) { raw->hear(); });
                    const auto to_all = std::make_shared<Listener>(calls_on_the_dead);
                    bus.subscribe_to_all(to_all, [raw = to_all.get()](const PublishedEvent&) { raw->hear(); });
                    std::this_thread::yield();
                }
            });
        }
    }
    is_over = true;
    publishers.clear();
    CHECK(calls_on_the_dead == 0);
}

TEMPLATE_TEST_CASE("after a connection has ended no call begins, while one that another thread has begun continues", "",
                   EventBus, SnapshotEventBus)
{
    TestType bus;
    std::promise<void> has_begun;
    std::promise<void> may_end;
    std::atomic<int> ended{0};
    auto connection = bus.template subscribe<AccountOpened>([&](const AccountOpened&) {
        has_begun.set_value(); // a second call would throw
        may_end.get_future().wait();
        ++ended;
    });
    escqrs::jthread publisher{[&] { bus.publish(AccountOpened{}, context()); }};
    has_begun.get_future().wait();
    connection.disconnect(); // does not wait
    CHECK(ended == 0);
    CHECK_NOTHROW(bus.publish(AccountOpened{}, context()));
    may_end.set_value();
    publisher.join();
    CHECK(ended == 1);
}

TEMPLATE_TEST_CASE("an owner that others let go while its handler runs is kept alive until the handler returns", "",
                   EventBus, SnapshotEventBus)
{
    TestType bus;
    std::atomic<int> calls_on_the_dead{0};
    auto owner = std::make_shared<Listener>(calls_on_the_dead);
    const std::weak_ptr<Listener> observer = owner;
    std::promise<void> has_begun;
    std::promise<void> may_end;
    bus.template subscribe<AccountOpened>(owner, [&, raw = owner.get()](const AccountOpened&) {
        has_begun.set_value();
        may_end.get_future().wait();
        raw->hear();
    });
    escqrs::jthread publisher{[&] { bus.publish(AccountOpened{}, context()); }};
    has_begun.get_future().wait();
    owner.reset();
    CHECK_FALSE(observer.expired());
    may_end.set_value();
    publisher.join();
    CHECK(observer.expired());
    CHECK(calls_on_the_dead == 0);
}

TEMPLATE_TEST_CASE("a subscriber to every type misses no event, whatever types appear at the same time", "", EventBus,
                   SnapshotEventBus)
{
    for (int round = 0; round < 200; ++round) {
        TestType bus;
        std::atomic<int> heard{0};
        std::atomic<int> ready{0};
        const auto connection = bus.subscribe_to_all([&](const PublishedEvent&) { ++heard; });
        const auto meet = [&] {
            ++ready;
            while (ready < 3) std::this_thread::yield();
        };
        {
            escqrs::jthread first{[&] {
                meet();
                bus.publish(AccountOpened{}, context());
            }};
            escqrs::jthread second{[&] {
                meet();
                bus.publish(AccountOpened{}, context());
                bus.publish(MoneyDeposited{1, ""}, context());
            }};
            escqrs::jthread third{[&] {
                meet();
                const auto typed = bus.template subscribe<MoneyDeposited>([](const MoneyDeposited&) {});
                const auto other = bus.subscribe_to_all([](const PublishedEvent&) {});
            }};
        }
        REQUIRE(heard == 3);
    }
}

TEMPLATE_TEST_CASE("nested publishing on many threads ends, and every event is heard", "", EventBus, SnapshotEventBus)
{
    TestType bus;
    std::atomic<int> heard{0};
    const auto outer = bus.template subscribe<AccountOpened>([&](const AccountOpened&) {
        bus.publish(MoneyDeposited{1, ""}, context());
        const auto passing = bus.template subscribe<MoneyDeposited>([&](const MoneyDeposited&) { ++heard; });
        bus.publish(MoneyDeposited{2, ""}, context());
    });
    const auto inner = bus.template subscribe<MoneyDeposited>([&](const MoneyDeposited&) { ++heard; });
    constexpr int threads = 4;
    {
        std::vector<escqrs::jthread> publishers;
        for (int thread = 0; thread < threads; ++thread) {
            publishers.emplace_back([&] {
                for (int round = 0; round < 50; ++round) bus.publish(AccountOpened{}, context());
            });
        }
    }
    CHECK(heard >= 3 * threads * 50); // passing subscribers may hear other threads' events as well
}

TEMPLATE_TEST_CASE("a handler that was disconnected goes away although there is always a publish under way", "",
                   EventBus, SnapshotEventBus)
{
    /// A publish that stays in its handler until it is released.
    struct Gate {
        std::promise<void> entered;
        std::promise<void> released;
    };
    TestType bus;
    std::atomic<Gate*> gate{nullptr};
    const auto kept = bus.template subscribe<AccountOpened>([&](const AccountOpened&) {
        Gate* const mine = gate.exchange(nullptr);
        mine->entered.set_value();
        mine->released.get_future().wait();
    });
    const auto begin_publish = [&](Gate& mine) {
        gate = &mine;
        escqrs::jthread publisher{[&] { bus.publish(AccountOpened{}, context()); }};
        mine.entered.get_future().wait();
        return publisher;
    };

    std::vector<std::weak_ptr<int>> captured;
    std::vector<Gate> gates(8);
    escqrs::jthread publisher = begin_publish(gates[0]);
    for (std::size_t next = 1; next < gates.size(); ++next) {
        const auto mine = std::make_shared<int>(0);
        captured.push_back(mine);
        auto connection = bus.template subscribe<AccountOpened>([mine](const AccountOpened&) {});
        connection.disconnect();
        escqrs::jthread after = begin_publish(gates[next]);
        gates[next - 1].released.set_value();
        publisher = std::move(after); // joins the one before, while this one is under way
    }
    // What was disconnected while one of the last two was under way may still be there.
    for (std::size_t round = 0; round + 3 < captured.size(); ++round) CHECK(captured[round].expired());
    gates.back().released.set_value();
    publisher.join();
    for (const auto& handler : captured) CHECK(handler.expired());
}
