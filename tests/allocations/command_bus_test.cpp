// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "operator_new.hpp"

#include <escqrs/commands/command_bus.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/manual_clock.hpp>

#include <cstddef>
#include <new>

using namespace escqrs;

namespace {

struct Add {
    using Result = int;
    int left = 0;
    int right = 0;
};

template <class Work>
std::size_t allocations_of(Work work)
{
    work(); // what is made once is made now
    const std::size_t before = test::allocations();
    work();
    return test::allocations() - before;
}

} // namespace

TEST_CASE("sending a command allocates nothing")
{
    testing::ManualClock clock;
    CommandBus bus{clock};
    int sum = 0;
    bus.handle<Add>([&](const Add& add, const Metadata&) { return sum += add.left + add.right; });
    const SendOptions options{{}, clock.now() + Duration{1}};
    REQUIRE(allocations_of([] { operator delete(operator new(1)); }) == 1);
    CHECK(allocations_of([&] { bus.send(Add{1, 2}); }) == 0);
    CHECK(allocations_of([&] { bus.send(Add{1, 2}, no_metadata, options); }) == 0);

    for (int middleware = 0; middleware < 2; ++middleware) {
        bus.use([](const CommandInfo&, NextHandler next) { next(); });
    }
    CHECK(allocations_of([&] { bus.send(Add{1, 2}); }) == 0);
    CHECK(allocations_of([&] { bus.send(Add{1, 2}, no_metadata, options); }) == 0);
    CHECK(sum == 24);
}
