// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/commands/command_bus.hpp>
#include <escqrs/commands/middleware/retry_on_conflict.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/manual_clock.hpp>

#include <atomic>
#include <chrono>
#include <future>
#include <thread>
#include <vector>

using namespace escqrs;
using namespace std::chrono_literals;

namespace {

struct Change {
    using Result = int;
    int conflicts = 0;
};

const ConcurrencyError conflict{StreamId{"a", "1"}, ExpectedVersion::no_stream(), StreamVersion{1}};

/// A bus whose handler meets as many conflicts as the command says, on a clock that stands still.
struct Fixture {
    explicit Fixture(RetryPolicy policy = {4, 10us, 25us}, double jitter = 0.5)
    {
        bus.handle<Change>([this](const Change& change) {
            began_at.push_back(clock.now() - start);
            const int attempt = ++attempts;
            if (attempt <= change.conflicts) throw conflict;
            return attempt;
        });
        bus.use(retry_on_conflict(policy, clock, [jitter] { return jitter; }));
    }

    testing::ManualClock clock;
    Timestamp start = clock.now();
    CommandBus bus{clock};
    std::vector<Duration> began_at;
    std::atomic<int> attempts{0};
};

} // namespace

TEST_CASE("a conflict is tried again after a random part of a delay that doubles")
{
    Fixture fixture;
    auto sent = std::async(std::launch::async, [&] { return fixture.bus.send(Change{3}); });
    int attempts = 1;
    for (const Duration delay : {5us, 10us, 12us}) { // half of 10, 20, and 40 cut to 25
        fixture.clock.await_waiting(1);
        fixture.clock.advance(delay - 1us);
        CHECK(fixture.attempts == attempts);
        fixture.clock.advance(1us);
        ++attempts;
        while (fixture.attempts != attempts) std::this_thread::yield();
    }
    CHECK(sent.get() == 4);
    CHECK(fixture.began_at == std::vector<Duration>{0us, 5us, 15us, 27us});
}

TEST_CASE("the last conflict reaches the sender when the attempts are used up")
{
    Fixture fixture{{3, 10us, 25us}, 0.0};
    CHECK_THROWS_AS(fixture.bus.send(Change{3}), ConcurrencyError);
    CHECK(fixture.began_at.size() == 3);
}

TEST_CASE("only conflicts are tried again")
{
    CommandBus bus;
    int calls = 0;
    bus.handle<Change>([&](const Change&) -> int {
        ++calls;
        throw StoreError{"disk full"};
    });
    bus.use(retry_on_conflict());
    CHECK_THROWS_AS(bus.send(Change{}), StoreError);
    CHECK(calls == 1);
}

TEST_CASE("no retry is waited for beyond the deadline")
{
    Fixture fixture; // would wait for 5 us
    CHECK_THROWS_AS(fixture.bus.send(Change{1}, {}, {{}, fixture.start + 5us}), ConcurrencyError);
    CHECK(fixture.began_at.size() == 1);
    CHECK(fixture.clock.now() == fixture.start);
}

TEST_CASE("a further try that ends before the deadline is made")
{
    Fixture fixture;
    auto sent = std::async(std::launch::async, [&] {
        return fixture.bus.send(Change{1}, {}, {{}, fixture.start + 6us});
    });
    fixture.clock.await_waiting(1);
    fixture.clock.advance(5us);
    CHECK(sent.get() == 2);
}

TEST_CASE("a stop ends the wait for a further try")
{
    Fixture fixture;
    escqrs::stop_source stop;
    auto sent = std::async(std::launch::async, [&] { return fixture.bus.send(Change{9}, {}, {stop.get_token()}); });
    fixture.clock.await_waiting(1);
    stop.request_stop();
    CHECK_THROWS_AS(sent.get(), CommandCancelled);
    CHECK(fixture.began_at.size() == 1);
}

TEST_CASE("a policy without any delay does not wait")
{
    Fixture fixture{{3, 0us, 0us}, 0.9};
    CHECK(fixture.bus.send(Change{2}) == 3);
    Fixture capped{{3, 100us, 0us}, 0.9};
    CHECK(capped.bus.send(Change{2}) == 3);
}
