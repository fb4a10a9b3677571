// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/commands/command_bus.hpp>
#include <escqrs/commands/middleware/timing.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/manual_clock.hpp>

#include <stdexcept>
#include <string>

using namespace escqrs;

namespace {

struct Work {
    using Result = void;
    Duration takes{};
    bool fails = false;
};

} // namespace

TEST_CASE("timing tells name, duration and outcome")
{
    testing::ManualClock clock;
    CommandBus bus;
    bus.handle<Work>([&](const Work& work) {
        clock.advance(work.takes);
        if (work.fails) throw std::runtime_error{"no"};
    });
    std::string told;
    bus.use(timing(
        [&](const CommandTiming& timing) {
            told += std::string{timing.command.name.substr(timing.command.name.rfind(':') + 1)} + ' ' +
                    std::to_string(timing.duration.count()) + (timing.error ? " failed;" : " done;");
        },
        clock));
    bus.send(Work{Duration{3}});
    CHECK(told == "Work 3 done;");
    CHECK_THROWS_AS(bus.send(Work{Duration{4}, true}), std::runtime_error);
    CHECK(told == "Work 3 done;Work 4 failed;");
    bus.send(Work{Duration{-5}}); // the clock was set back
    CHECK(told == "Work 3 done;Work 4 failed;Work 0 done;");
}
