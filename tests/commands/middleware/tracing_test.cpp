// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/commands/command_bus.hpp>
#include <escqrs/commands/middleware/tracing.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/manual_clock.hpp>

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

using namespace escqrs;

namespace {

struct Work {
    using Result = void;
    bool fails = false;
};

/// What the sink was told, kept beyond the command.
struct Told {
    TraceContext context;
    std::string parent;
    Timestamp start;
    std::optional<Timestamp> end;
    bool failed;
};

struct Fixture {
    explicit Fixture(bool sample_new_traces = true)
    {
        bus.handle<Work>([this](const Work& work, const Metadata& metadata) {
            seen = metadata;
            clock.advance(Duration{7});
            if (work.fails) throw std::runtime_error{"no"};
        });
        TracingOptions options;
        options.clock = &clock;
        options.ids = [this] {
            Uuid id = parse_uuid("00000000-0000-4000-8000-000000000000");
            id.data[15] = ++drawn;
            return id;
        };
        options.sample_new_traces = sample_new_traces;
        bus.use(tracing(
            [this](const CommandSpan& span) {
                told.push_back({span.context, span.parent_span_id, span.start, span.end, span.error != nullptr});
            },
            options));
    }

    void send(const std::string& traceparent, bool fails = false)
    {
        Metadata metadata;
        metadata.actor = "ada";
        metadata.traceparent = traceparent;
        bus.send(Work{fails}, metadata);
    }

    testing::ManualClock clock;
    CommandBus bus;
    Metadata seen;
    std::vector<Told> told;
    std::uint8_t drawn = 0;
};

const std::string trace_id = "0af7651916cd43dd8448eb211c80319c";
const std::string parent_id = "b7ad6b7169203331";

} // namespace

TEST_CASE("an incoming trace is continued, and the handler gets the child")
{
    Fixture fixture;
    const auto start = fixture.clock.now();
    fixture.send("00-" + trace_id + '-' + parent_id + "-01");
    CHECK(fixture.seen.traceparent == "00-" + trace_id + "-8000000000000001-01");
    CHECK(fixture.seen.actor == "ada");
    REQUIRE(fixture.told.size() == 2);
    for (const auto& told : fixture.told) {
        CHECK(told.context == TraceContext{trace_id, "8000000000000001", true});
        CHECK(told.parent == parent_id);
        CHECK(told.start == start);
        CHECK_FALSE(told.failed);
    }
    CHECK_FALSE(fixture.told[0].end.has_value());
    CHECK(fixture.told[1].end == start + Duration{7});
}

TEST_CASE("without a trace one begins, and so it does for one that is not valid")
{
    for (const std::string& given : {std::string{}, std::string{"00-"}, "00-" + trace_id + "-0000000000000000-01",
                                     "00-" + trace_id + '-' + parent_id + "-01\r\nevil: 1", std::string(5000, '-')}) {
        CAPTURE(given);
        Fixture fixture;
        fixture.send(given);
        CHECK(fixture.seen.traceparent == "00-00000000000040008000000000000001-8000000000000002-01");
        REQUIRE(fixture.told.size() == 2);
        CHECK(fixture.told[0].parent.empty());
    }
}

TEST_CASE("whether a trace is sampled is decided where it begins")
{
    Fixture fixture;
    fixture.send("00-" + trace_id + '-' + parent_id + "-00");
    CHECK(fixture.seen.traceparent == "00-" + trace_id + "-8000000000000001-00");
    REQUIRE(fixture.told.size() == 2);
    CHECK_FALSE(fixture.told[0].context.is_sampled);

    Fixture unsampled{false};
    unsampled.send("");
    CHECK_THAT(unsampled.seen.traceparent, Catch::EndsWith("-00"));
    unsampled.send("00-" + trace_id + '-' + parent_id + "-01");
    CHECK_THAT(unsampled.seen.traceparent, Catch::EndsWith("-01"));
}

TEST_CASE("a span that ends in an exception says so")
{
    Fixture fixture;
    CHECK_THROWS_AS(fixture.send("", true), std::runtime_error);
    REQUIRE(fixture.told.size() == 2);
    CHECK(fixture.told[1].failed);
    CHECK(fixture.told[1].end.has_value());
}

TEST_CASE("ids of spans are drawn anew")
{
    CommandBus bus;
    std::vector<std::string> seen;
    bus.handle<Work>([&](const Work&, const Metadata& metadata) { seen.push_back(metadata.traceparent); });
    bus.use(tracing([](const CommandSpan&) {}));
    bus.send(Work{});
    bus.send(Work{});
    REQUIRE(seen.size() == 2);
    const auto first = TraceContext::parse(seen[0]);
    const auto second = TraceContext::parse(seen[1]);
    REQUIRE(first);
    REQUIRE(second);
    CHECK(first->trace_id != second->trace_id);
    CHECK(first->span_id != second->span_id);
}
