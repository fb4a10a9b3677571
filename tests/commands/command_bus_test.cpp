// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/commands/command_bus.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/manual_clock.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

using namespace escqrs;

namespace {

struct Add {
    using Result = int;
    int left = 0;
    int right = 0;
};

struct Note {
    using Result = void;
    std::string text;
};

struct Save {};

} // namespace

TEST_CASE("a command reaches its handler, and the handler's answer its sender")
{
    CommandBus bus;
    std::string noted;
    bus.handle(
        on<Add>([](const Add& add) { return add.left + add.right; }),
        on<Note>([&](const Note& note, const Metadata& metadata) { noted = note.text + " by " + metadata.actor; }));

    CHECK(bus.send(Add{2, 3}) == 5);
    Metadata metadata;
    metadata.actor = "ada";
    bus.send(Note{"hello"}, metadata);
    CHECK(noted == "hello by ada");
}

TEST_CASE("a command that names no result returns the commit result")
{
    CommandBus bus;
    const CommitResult expected{StreamId{"a", "1"}, StreamVersion{3}, GlobalPosition{9}};
    bus.handle<Save>([&](const Save&) { return expected; });
    CHECK(bus.send(Save{}) == expected);
}

TEST_CASE("a command without a handler is an error that names it")
{
    CommandBus bus;
    CHECK_THROWS_AS(bus.send(Add{}), HandlerNotFound);
    CHECK_THROWS_WITH(bus.send(Add{}), Catch::Contains("Add"));
    bus.handle<Note>([](const Note&) {});
    CHECK_THROWS_AS(bus.send(Add{}), HandlerNotFound);
}

TEST_CASE("a second handler is an error that names the command, and the first one stays")
{
    CommandBus bus;
    bus.handle<Add>([](const Add&) { return 1; });
    CHECK_THROWS_AS(bus.handle<Add>([](const Add&) { return 2; }), DuplicateHandler);
    CHECK_THROWS_WITH(bus.handle<Add>([](const Add&) { return 2; }), Catch::Contains("Add"));
    CHECK(bus.send(Add{}) == 1);
}

TEST_CASE("two buses are independent")
{
    CommandBus one;
    CommandBus other;
    one.handle<Add>([](const Add&) { return 1; });
    CHECK_THROWS_AS(other.send(Add{}), HandlerNotFound);
    other.handle<Add>([](const Add&) { return 2; });
    CHECK(one.send(Add{}) == 1);
    CHECK(other.send(Add{}) == 2);
}

TEST_CASE("an exception of the handler reaches the sender as it is")
{
    CommandBus bus;
    bus.handle<Note>([](const Note&) { throw std::out_of_range{"no"}; });
    CHECK_THROWS_AS(bus.send(Note{}), std::out_of_range);
    bus.use([](const CommandInfo&, FunctionRef<void()> next) { next(); });
    CHECK_THROWS_AS(bus.send(Note{}), std::out_of_range);
}

TEST_CASE("middlewares wrap every handler, the first one outermost")
{
    CommandBus bus;
    std::vector<std::string> trace;
    bus.handle<Add>([&](const Add& add) {
        trace.emplace_back("handler");
        return add.left;
    });
    bus.use([&](const CommandInfo& command, FunctionRef<void()> next) {
        trace.push_back("outer " + std::string{command.name});
        next();
        trace.emplace_back("outer end");
    });
    bus.use([&](const CommandInfo&, FunctionRef<void()> next) {
        trace.emplace_back("inner");
        next();
    });
    CHECK(bus.send(Add{7, 0}) == 7);
    REQUIRE(trace.size() == 4);
    CHECK_THAT(trace[0], Catch::Contains("Add"));
    CHECK(trace[1] == "inner");
    CHECK(trace[2] == "handler");
    CHECK(trace[3] == "outer end");
}

TEST_CASE("a middleware may run the handler again, and must not end in silence")
{
    CommandBus bus;
    int calls = 0;
    bus.handle<Add>([&](const Add&) { return ++calls; });
    SECTION("again")
    {
        bus.use([](const CommandInfo&, FunctionRef<void()> next) {
            next();
            next();
        });
        CHECK(bus.send(Add{}) == 2);
    }
    SECTION("silence")
    {
        bus.use([](const CommandInfo&, FunctionRef<void()>) {});
        bus.handle<Note>([](const Note&) {});
        CHECK_THROWS_AS(bus.send(Add{}), Error);
        CHECK_THROWS_AS(bus.send(Note{}), Error);
        CHECK(calls == 0);
    }
}

TEST_CASE("a middleware may continue with other metadata")
{
    CommandBus bus;
    std::string actor;
    std::string seen_further_in;
    bus.handle<Note>([&](const Note&, const Metadata& metadata) { actor = metadata.actor; });
    bus.handle<Add>([&](const Add&, const Metadata& metadata) { return static_cast<int>(metadata.actor.size()); });
    bus.use([](const CommandInfo& command, NextHandler next) {
        Metadata metadata = command.metadata;
        metadata.actor += " Lovelace";
        next(metadata);
    });
    bus.use([&](const CommandInfo& command, NextHandler next) {
        seen_further_in = command.metadata.actor;
        next();
    });
    Metadata metadata;
    metadata.actor = "Ada";
    bus.send(Note{}, metadata);
    CHECK(actor == "Ada Lovelace");
    CHECK(seen_further_in == "Ada Lovelace");
    CHECK(bus.send(Add{}, metadata) == 12);
    CHECK(metadata.actor == "Ada");
}

TEST_CASE("a middleware may read the result, replace it, and give one without the handler")
{
    CommandBus bus;
    int calls = 0;
    bus.handle<Add>([&](const Add& add) {
        ++calls;
        return add.left + add.right;
    });
    bus.use([](const CommandInfo& command, NextHandler next) {
        if (command.as<Add>()->left == 0) {
            *command.result<int>() = 77;
        } else {
            next();
            **command.result<int>() *= 10;
        }
    });
    CHECK(bus.send(Add{2, 3}) == 50);
    CHECK(bus.send(Add{0, 3}) == 77);
    CHECK(calls == 1);
}

TEST_CASE("a handler that asks for it gets its deadline")
{
    CommandBus bus;
    escqrs::stop_source stop;
    std::string actor;
    Timestamp deadline{};
    bool can_be_stopped = false;
    bus.handle<Note>([&](const Note&, const CommandContext& context) {
        actor = context.metadata.actor;
        deadline = context.deadline;
        stop.request_stop();
        can_be_stopped = context.stop.stop_requested();
    });
    const auto later = Timestamp::max() - std::chrono::hours{1};
    Metadata metadata;
    metadata.actor = "ada";
    SECTION("no middleware") {}
    SECTION("through a middleware")
    {
        bus.use([&](const CommandInfo& command, NextHandler next) {
            CHECK(command.deadline == later);
            CHECK(command.stop.stop_possible());
            next(command.metadata);
        });
    }
    bus.send(Note{}, metadata, {stop.get_token(), later});
    CHECK(actor == "ada");
    CHECK(deadline == later);
    CHECK(can_be_stopped);
}

TEST_CASE("a handler is not begun after the deadline, nor after a stop")
{
    testing::ManualClock clock;
    CommandBus bus{clock};
    int calls = 0;
    bus.handle<Add>([&](const Add&) { return ++calls; });
    const auto deadline = clock.now() + Duration{2};
    SECTION("no middleware") {}
    SECTION("through a middleware")
    {
        bus.use([](const CommandInfo&, NextHandler next) { next(); });
    }
    clock.advance(Duration{1});
    CHECK(bus.send(Add{}, {}, {{}, deadline}) == 1);
    clock.advance(Duration{1});
    CHECK_THROWS_AS(bus.send(Add{}, {}, {{}, deadline}), CommandDeadlineExceeded);
    CHECK_THROWS_WITH(bus.send(Add{}, {}, {{}, deadline}), Catch::Contains("Add"));

    escqrs::stop_source stop;
    CHECK(bus.send(Add{}, {}, {stop.get_token()}) == 2);
    stop.request_stop();
    CHECK_THROWS_AS(bus.send(Add{}, {}, {stop.get_token()}), CommandCancelled);
    CHECK_THROWS_WITH(bus.send(Add{}, {}, {stop.get_token()}), Catch::Contains("Add"));
    CHECK(calls == 2);
}

TEST_CASE("time that passes in a middleware counts")
{
    testing::ManualClock clock;
    CommandBus bus{clock};
    int calls = 0;
    bus.handle<Add>([&](const Add&) { return ++calls; });
    bus.use([&](const CommandInfo&, NextHandler next) {
        clock.advance(Duration{5});
        next();
    });
    CHECK_THROWS_AS(bus.send(Add{}, {}, {{}, clock.now() + Duration{5}}), CommandDeadlineExceeded);
    CHECK(calls == 0);
}

TEST_CASE("a handler may own what cannot be copied")
{
    CommandBus bus;
    bus.handle<Add>([owned = std::make_unique<int>(4)](const Add&) { return *owned; });
    CHECK(bus.send(Add{}) == 4);
}

TEST_CASE("commands may be sent from many threads")
{
    CommandBus bus;
    std::atomic<int> sum{0};
    bus.handle<Add>([&](const Add& add) { return sum += add.left; });
    {
        std::vector<escqrs::jthread> threads;
        for (int thread = 0; thread < 4; ++thread) {
            threads.emplace_back([&] {
                for (int round = 0; round < 1000; ++round) bus.send(Add{1, 0});
            });
        }
    }
    CHECK(sum == 4000);
}
