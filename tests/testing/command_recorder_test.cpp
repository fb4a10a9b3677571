// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/lending.hpp"

#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/command_recorder.hpp>

using namespace escqrs::testing;

namespace {

struct Ask {
    int question = 0;
    using Result = int;
};
struct Refuse {
    using Result = void;
};
struct Break {
    using Result = void;
};

} // namespace

TEST_CASE("command recorder: keeps which commands were sent, and how they ended")
{
    escqrs::CommandBus bus;
    bus.handle<Ask>([](const Ask&) { return 42; });
    bus.handle<Refuse>([](const Refuse&) { throw lending::Refused{"no"}; });
    bus.handle<Break>([](const Break&) { throw 1; });
    CommandRecorder<Ask, Break> recorder{bus};

    escqrs::Metadata metadata;
    metadata.actor = "Ada";
    CHECK(bus.send(Ask{7}, metadata) == 42);
    CHECK_THROWS_AS(bus.send(Refuse{}), lending::Refused);
    CHECK_THROWS_AS(bus.send(Break{}), int);

    const auto commands = recorder.commands();
    REQUIRE(commands.size() == 3);
    CHECK(commands[0].is<Ask>());
    CHECK_FALSE(commands[0].is<Refuse>());
    CHECK(commands[0].metadata.actor == "Ada");
    CHECK_FALSE(commands[0].refusal);
    CHECK(commands[1].refusal == "no");
    CHECK(commands[2].refusal == "something that is no std::exception");
    CHECK(recorder.count<Refuse>() == 1);

    REQUIRE(recorder.commands<Ask>().size() == 1);
    CHECK(recorder.commands<Ask>()[0].question == 7);
    CHECK(recorder.commands<Break>().size() == 1); // those that were refused, too

    recorder.clear();
    CHECK(recorder.commands().empty());
    CHECK(recorder.commands<Ask>().empty());
}

TEST_CASE("command recorder: the bus may outlive it")
{
    escqrs::CommandBus bus;
    bus.handle<Ask>([](const Ask&) { return 42; });
    {
        const CommandRecorder recorder{bus};
    }
    CHECK(bus.send(Ask{}) == 42);
}
