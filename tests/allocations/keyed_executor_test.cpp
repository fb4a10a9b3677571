// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "operator_new.hpp"
#include "support/task_queue.hpp"

#include <escqrs/commands/dispatcher/keyed_executor.hpp>
#include <escqrs/testing/catch2.hpp>

#include <cstddef>
#include <functional>
#include <new>
#include <string>

using namespace escqrs;

TEST_CASE("a key works on after the memory has run out, wherever that was")
{
    const bool at_once = GENERATE(false, true);
    const std::string key = "a key that is too long to be kept without an allocation";
    std::size_t failures = 0;
    for (std::size_t number = 1; failures + 1 >= number; ++number) { // until there is no such allocation any more
        test::TaskQueue queue;
        KeyedExecutor executor{[&, run = queue.executor()](std::function<void()> task) {
            if (at_once) task();
            else run(std::move(task));
        }};
        int ran = 0;
        bool has_failed = false;
        const std::size_t before = test::allocations();
        test::fail_allocation(number);
        try {
            executor.run(key, [&] { ++ran; });
            executor.run(key, [&] { ++ran; });
        } catch (const std::bad_alloc&) {
            has_failed = true;
        }
        queue.run_all();
        const bool was_reached = test::allocations() - before >= number;
        test::fail_allocation(0);
        CHECK((has_failed || was_reached || ran == 2));
        if (was_reached) ++failures;

        CHECK(executor.busy_keys() == 0);
        ran = 0;
        executor.run(key, [&] { ++ran; });
        queue.run_all();
        CHECK(ran == 1);
    }
    CHECK(failures > 4);
}
