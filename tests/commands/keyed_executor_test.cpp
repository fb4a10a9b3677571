// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/task_queue.hpp"

#include <escqrs/commands/dispatcher/keyed_executor.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/testing/catch2.hpp>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace escqrs;
using test::TaskQueue;

TEST_CASE("tasks with one key have their turn one after the other, others do not wait")
{
    TaskQueue queue;
    KeyedExecutor executor{queue.executor()};
    std::string ran;
    for (const char* name : {"a1", "a2", "b1", "a3"}) {
        executor.run(std::string{name[0]}, [&ran, name] { ran.append(name).append(" "); });
    }
    executor.run([&ran] { ran += "free "; });
    CHECK(queue.size() == 3); // a2 and a3 have not been given to the executor
    CHECK(executor.busy_keys() == 2);
    queue.run_newest();
    queue.run_newest();
    CHECK(ran == "free b1 ");
    CHECK(executor.busy_keys() == 1);
    queue.run_all();
    CHECK(ran == "free b1 a1 a2 a3 ");
    CHECK(executor.busy_keys() == 0);
}

TEST_CASE("a key is free again when its last task has ended")
{
    TaskQueue queue;
    KeyedExecutor executor{queue.executor()};
    int ran = 0;
    executor.run("a", [&] { ++ran; });
    queue.run_all();
    CHECK(executor.busy_keys() == 0);
    executor.run("a", [&] { ++ran; });
    CHECK(queue.size() == 1);
    queue.run_all();
    CHECK(ran == 2);
}

TEST_CASE("what a task throws reaches the executor, and the next task of its key runs all the same")
{
    std::string ran;
    SECTION("later")
    {
        TaskQueue queue;
        KeyedExecutor executor{queue.executor()};
        executor.run("a", [] { throw 42; }); // NOLINT(hicpp-exception-baseclass)
        executor.run("a", [&] { ran += "second "; });
        CHECK_THROWS_AS(queue.run_all(), int);
        CHECK(queue.size() == 1);
        queue.run_all();
        CHECK(executor.busy_keys() == 0);
    }
    SECTION("at once")
    {
        KeyedExecutor executor{[](const std::function<void()>& task) { task(); }};
        const auto two_tasks = [&] {
            executor.run("a", [&] { ran += "second "; });
            throw std::runtime_error{"the first"};
        };
        CHECK_THROWS_WITH(executor.run("a", two_tasks), "the first");
        CHECK(executor.busy_keys() == 0);
    }
    CHECK(ran == "second ");
}

TEST_CASE("an executor may run tasks at once, and a task may bring others")
{
    std::string ran;
    KeyedExecutor executor{[](const std::function<void()>& task) { task(); }};
    executor.run("a", [&] {
        executor.run("a", [&] { ran += "second "; });
        executor.run("b", [&] { ran += "other "; });
        ran += "first ";
    });
    CHECK(ran == "other first second ");
    CHECK(executor.busy_keys() == 0);
}

TEST_CASE("with an executor that runs tasks at once the stack does not grow with their number")
{
    constexpr int many = 200'000;
    int ran = 0;
    KeyedExecutor executor{[](const std::function<void()>& task) { task(); }};
    SECTION("all sent by one task")
    {
        executor.run("a", [&] {
            for (int task = 0; task < many; ++task) executor.run("a", [&] { ++ran; });
        });
    }
    SECTION("each sent by the one before")
    {
        std::function<void()> follow = [&] {
            if (++ran < many) executor.run("a", follow);
        };
        executor.run("a", follow);
    }
    CHECK(ran == many);
    CHECK(executor.busy_keys() == 0);
}

TEST_CASE("an executor may throw after it has run a task")
{
    std::string ran;
    KeyedExecutor executor{[](const std::function<void()>& task) {
        task();
        throw std::runtime_error{"late"};
    }};
    CHECK_THROWS_AS(executor.run("a",
                                 [&] {
                                     executor.run("a", [&] { ran += "second "; });
                                     executor.run("a", [&] { ran += "third "; });
                                     ran += "first ";
                                 }),
                    std::runtime_error);
    CHECK(ran == "first second third ");
    CHECK(executor.busy_keys() == 0);
}

TEST_CASE("an executor may run on one thread now what it is given there, and later what it is given then")
{
    TaskQueue queue;
    bool at_once = true;
    KeyedExecutor executor{[&, run = queue.executor()](std::function<void()> task) {
        if (at_once) task();
        else run(std::move(task));
    }};
    std::string ran;
    executor.run("a", [&] {
        executor.run("a", [&] { ran += "second "; });
        executor.run("a", [&] { ran += "third "; });
        at_once = false;
    });
    CHECK(ran.empty());
    at_once = true;
    queue.run_all();
    CHECK(ran == "second third ");
    CHECK(executor.busy_keys() == 0);
}

TEST_CASE("a task that the executor destroys takes those after it along, and the key can be used again")
{
    TaskQueue queue;
    KeyedExecutor executor{queue.executor()};
    const auto owned = std::make_shared<int>();
    int ran = 0;
    const auto task = [&ran, owned] { ++ran; };
    executor.run("a", task);
    executor.run("a", task);
    executor.run("b", task);
    SECTION("before they have run")
    {
        queue.drop_oldest();
        CHECK(owned.use_count() == 3); // ours, the one in `task`, and that of b
    }
    SECTION("in between")
    {
        executor.run("a", task);
        queue.run_oldest();
        CHECK(ran == 1);
        queue.drop_newest();
        CHECK(owned.use_count() == 3);
    }
    CHECK(executor.busy_keys() == 1);
    const int before = ran;
    executor.run("a", task);
    queue.run_all();
    CHECK(ran == before + 2);
}

TEST_CASE("what an executor throws reaches the caller, and no task is left")
{
    bool is_full = true;
    TaskQueue queue;
    KeyedExecutor executor{[&, run = queue.executor()](std::function<void()> task) {
        if (is_full) throw std::runtime_error{"full"};
        run(std::move(task));
    }};
    CHECK_THROWS_AS(executor.run("a", [] {}), std::runtime_error);
    CHECK(executor.busy_keys() == 0);

    is_full = false;
    const auto owned = std::make_shared<int>();
    executor.run("a", [] {});
    executor.run("a", [owned] {});
    is_full = true;
    queue.run_all(); // the second one cannot be given to the executor
    CHECK(owned.use_count() == 1);
    CHECK(executor.busy_keys() == 0);
}

TEST_CASE("waiting tasks run even if no one holds the executor any more")
{
    TaskQueue queue;
    int ran = 0;
    {
        KeyedExecutor executor{queue.executor()};
        executor.run("a", [&] { ++ran; });
        executor.run("a", [&] { ++ran; });
    }
    queue.run_all();
    CHECK(ran == 2);
}

TEST_CASE("on many threads no two tasks with one key meet, and each thread's keep their order")
{
    const bool runs_some_at_once = GENERATE(false, true); // as an executor does whose queue is full
    constexpr int senders = 4;
    constexpr int rounds = 500;
    std::vector<int> last(senders, -1); // written without a lock: the key's turns are the protection
    bool in_order = true;
    int ran = 0;
    std::atomic<int> others{0};
    TaskQueue queue;
    std::atomic<unsigned> given{0};
    KeyedExecutor executor{[&, run = queue.executor()](std::function<void()> task) {
        if (runs_some_at_once && ++given % 3 == 0) task();
        else run(std::move(task));
    }};
    {
        std::vector<escqrs::jthread> workers;
        for (int worker = 0; worker < 4; ++worker) {
            workers.emplace_back([&](const escqrs::stop_token& stop) { queue.work(stop); });
        }
        {
            std::vector<escqrs::jthread> threads;
            for (int sender = 0; sender < senders; ++sender) {
                threads.emplace_back([&, sender] {
                    for (int round = 0; round < rounds; ++round) {
                        executor.run("hot", [&, sender, round] {
                            auto& before = last[static_cast<std::size_t>(sender)];
                            in_order = in_order && before == round - 1;
                            before = round;
                            ++ran;
                        });
                        executor.run("key" + std::to_string(round % 7), [&] { ++others; });
                    }
                });
            }
        }
        while (executor.busy_keys() != 0) std::this_thread::yield();
    }
    CHECK(in_order);
    CHECK(ran == senders * rounds);
    CHECK(others == senders * rounds);
}
