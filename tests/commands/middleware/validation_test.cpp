// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/commands/command_bus.hpp>
#include <escqrs/commands/middleware/validation.hpp>
#include <escqrs/testing/catch2.hpp>

#include <stdexcept>
#include <string>
#include <vector>

using namespace escqrs;

namespace {

struct Register {
    using Result = void;
    std::string name;
    int age = 0;
};

struct Forget {
    using Result = void;
};

std::vector<std::string> problems_of(const Register& command)
{
    std::vector<std::string> problems;
    if (command.name.empty()) problems.emplace_back("a name is missing");
    if (command.age < 18) problems.emplace_back("only adults register");
    return problems;
}

} // namespace

TEST_CASE("a command with problems does not reach its handler, and the sender gets all of them")
{
    CommandBus bus;
    int handled = 0;
    bus.handle(on<Register>([&](const Register&) { ++handled; }), on<Forget>([&](const Forget&) { ++handled; }));
    bus.use(validation<Register>(problems_of));

    bus.send(Register{"Ada", 36});
    CHECK(handled == 1);
    try {
        bus.send(Register{});
        FAIL("it was handled");
    } catch (const InvalidCommand& error) {
        CHECK(error.problems() == std::vector<std::string>{"a name is missing", "only adults register"});
        CHECK_THAT(error.what(), Catch::Contains("Register is not valid: a name is missing; only adults register"));
    }
    CHECK(handled == 1);
    bus.send(Forget{});
    CHECK(handled == 2);
}

TEST_CASE("what a validation throws reaches the sender as it is")
{
    CommandBus bus;
    int handled = 0;
    bus.handle<Register>([&](const Register&) { ++handled; });
    bus.use(validation<Register>([](const Register& command) {
        if (command.name.empty()) throw std::domain_error{"nameless"};
    }));
    CHECK_THROWS_AS(bus.send(Register{}), std::domain_error);
    CHECK(handled == 0);
    bus.send(Register{"Ada", 1});
    CHECK(handled == 1);
}
