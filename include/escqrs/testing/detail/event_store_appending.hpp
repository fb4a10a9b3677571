// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/detail/sample_events.hpp>
#include <escqrs/testing/manual_clock.hpp>

#include <optional>
#include <string>
#include <vector>

namespace escqrs::inline v0::testing::detail {

/// Appends, and returns what prevented the append.
template <class Failure, EventStore Store>
std::optional<Failure> failure_of_append(Store& store, const StreamId& stream, ExpectedVersion expected,
                                         const std::vector<SampleEvent>& events)
{
    try {
        append(store, stream, expected, events);
    } catch (const Failure& failure) {
        return failure;
    }
    return std::nullopt;
}

/// What an append stores.
template <class Fixture>
void check_appending(Fixture& fixture)
{
    ManualClock clock;
    const auto store = fixture.open(clock);
    const StreamId stream = sample_stream();

    SECTION("the first event of a stream is version 1, and each append continues from there")
    {
        const auto first = append(*store, stream, ExpectedVersion::no_stream(), std::vector<SampleEvent>(1));
        const auto second =
            append(*store, stream, ExpectedVersion::exactly(StreamVersion{1}), std::vector<SampleEvent>(3));
        const auto other =
            append(*store, sample_stream("two"), ExpectedVersion::no_stream(), std::vector<SampleEvent>(1));
        CHECK_FALSE(first.repeated);
        CHECK_FALSE(second.repeated);
        CHECK(first.version == StreamVersion{1});
        CHECK(second.version == StreamVersion{4});
        CHECK(other.version == StreamVersion{1});

        const auto log = read_log(*store);
        REQUIRE(log.size() == 5);
        CHECK(log[0].position == first.position);
        CHECK(log[3].position == second.position);
        CHECK(log[4].position == other.position);
        for (std::size_t index = 1; index < log.size(); ++index) CHECK(log[index - 1].position < log[index].position);
        CHECK(log[0].position > GlobalPosition{0});
        const auto events = read_stream(*store, stream);
        REQUIRE(events.size() == 4);
        for (std::size_t index = 0; index < events.size(); ++index) {
            CHECK(events[index].version == StreamVersion{index + 1});
            CHECK(events[index].position == log[index].position);
        }
    }

    SECTION("everything comes back as it was given")
    {
        std::vector<std::byte> every_value;
        for (unsigned value = 0; value < 256; ++value) every_value.push_back(static_cast<std::byte>(value));
        std::vector<std::byte> large(1024 * 1024);
        for (std::size_t index = 0; index < large.size(); ++index)
            large[index] = static_cast<std::byte>(index * 7 % 251);

        std::vector<SampleEvent> events(5);
        events[0].payload = every_value;
        events[1].metadata = every_value;
        events[2].payload.clear();
        events[2].metadata.clear();
        events[3].payload = large;
        events[3].metadata = large;
        events[4].type = "Another'Type\"; -- \xC3\xA4";
        events[4].schema_version = std::numeric_limits<unsigned>::max();
        events[4].content_type = "application/json; charset=utf-8";
        const StreamId longest{"category", std::string(StreamId::max_length - 9, 'x')};
        append(*store, longest, ExpectedVersion::any(), events);

        for (const auto& found : {read_stream(*store, longest), read_log(*store)}) {
            REQUIRE(found.size() == events.size());
            for (std::size_t index = 0; index < events.size(); ++index) {
                CHECK(found[index].stream == longest);
                CHECK(found[index].recorded_at == clock.now());
                CHECK(found[index].content.id == events[index].id);
                CHECK(found[index].content.type == events[index].type);
                CHECK(found[index].content.schema_version == events[index].schema_version);
                CHECK(found[index].content.content_type == events[index].content_type);
                CHECK((found[index].content.payload == events[index].payload));
                CHECK((found[index].content.metadata == events[index].metadata));
            }
        }
    }

    SECTION("the time is that of the clock handed in, to the microsecond")
    {
        append_some(*store, stream, 1);
        clock.advance(std::chrono::microseconds{1});
        append_some(*store, stream, 1);
        const auto events = read_stream(*store, stream);
        REQUIRE(events.size() == 2);
        CHECK(events[1].recorded_at == clock.now());
        CHECK(events[1].recorded_at - events[0].recorded_at == std::chrono::microseconds{1});
    }

    SECTION("streams that are alike are different streams")
    {
        append_some(*store, StreamId{"sample", "a"}, 1);
        append_some(*store, StreamId{"sample", "A"}, 1);
        append_some(*store, StreamId{"sample", "a "}, 1);
        append_some(*store, StreamId{"sampl", "e-a"}, 1);
        CHECK(version_of(*store, StreamId{"sample", "a"}) == StreamVersion{1});
        CHECK(count_events(*store) == 4);
    }

    SECTION("an append without events is refused")
    {
        CHECK_THROWS_AS(append(*store, stream, ExpectedVersion::any(), {}), StoreError);
        CHECK(count_events(*store) == 0);
    }
}

/// Checks what an append requires of its stream.
template <class Fixture>
void check_expected_versions(Fixture& fixture)
{
    ManualClock clock;
    const auto store = fixture.open(clock);
    const StreamId stream = sample_stream();
    const auto conflict = [&](ExpectedVersion expected) {
        return failure_of_append<ConcurrencyError>(*store, stream, expected, std::vector<SampleEvent>(2));
    };
    const auto exactly = [](std::uint64_t version) { return ExpectedVersion::exactly(StreamVersion{version}); };
    constexpr std::uint64_t signed_end = std::uint64_t{1} << 63;
    const std::vector<ExpectedVersion> far{exactly(signed_end - 2), exactly(signed_end - 1), exactly(signed_end),
                                           exactly(~std::uint64_t{0})};

    SECTION("of a stream that does not exist")
    {
        for (const auto expected : {ExpectedVersion::stream_exists(), exactly(1), exactly(~std::uint64_t{0})}) {
            const auto failure = conflict(expected);
            REQUIRE(failure);
            CHECK(failure->stream() == stream);
            CHECK(failure->expected() == expected);
            CHECK(failure->actual() == StreamVersion{0});
        }
        for (const auto expected : far) CHECK(conflict(expected));
        CHECK(count_events(*store) == 0);
        CHECK_FALSE(conflict(exactly(0)));
        CHECK(version_of(*store, stream) == StreamVersion{2});
    }

    SECTION("of a stream that exists")
    {
        append_some(*store, stream, 3);
        for (const auto expected : {ExpectedVersion::no_stream(), exactly(0), exactly(2), exactly(4)}) {
            const auto failure = conflict(expected);
            REQUIRE(failure);
            CHECK(failure->expected() == expected);
            CHECK(failure->actual() == StreamVersion{3});
        }
        for (const auto expected : far) {
            CHECK(conflict(expected));
            CHECK(failure_of_append<ConcurrencyError>(*store, stream, expected, {{}})); // one event takes another path
        }
        CHECK(count_events(*store) == 3);
        CHECK_FALSE(conflict(exactly(3)));
        CHECK_FALSE(conflict(ExpectedVersion::any()));
        CHECK_FALSE(conflict(ExpectedVersion::stream_exists()));
        CHECK(version_of(*store, stream) == StreamVersion{9});
    }

    SECTION("a conflict leaves the store as it was")
    {
        append_some(*store, stream, 1);
        const std::vector<SampleEvent> events(1);
        REQUIRE(failure_of_append<ConcurrencyError>(*store, stream, ExpectedVersion::no_stream(), events));
        CHECK_FALSE(store->locate(events[0].id));
        const auto result = append(*store, stream, exactly(1), events);
        CHECK(result.version == StreamVersion{2});
        CHECK(result.position == store->head());
    }
}

/// Checks appends whose answer was lost, and ids that are taken.
template <class Fixture>
void check_event_ids(Fixture& fixture)
{
    ManualClock clock;
    const auto store = fixture.open(clock);
    const StreamId stream = sample_stream();
    append_some(*store, stream, 1);
    const std::vector<SampleEvent> events(3);
    const auto first = append(*store, stream, ExpectedVersion::exactly(StreamVersion{1}), events);

    const auto is_refused = [&](const StreamId& target, const std::vector<SampleEvent>& repeated) {
        const auto before = read_log(*store).size();
        const auto version = version_of(*store, target);
        bool refused = true;
        // The last expectation does not hold, but the error is that the ids are taken.
        for (const auto expected : {ExpectedVersion::any(), ExpectedVersion::exactly(version),
                                    ExpectedVersion::exactly(StreamVersion{version.value() + 7})}) {
            refused = failure_of_append<DuplicateEventId>(*store, target, expected, repeated).has_value() && refused;
        }
        // Nothing is left that would disturb the next append.
        const auto next = append(*store, target, ExpectedVersion::exactly(version), std::vector<SampleEvent>(1));
        return refused && read_log(*store).size() == before + 1 && next.version == version.next() &&
               next.position == store->head();
    };

    SECTION("a repeated append returns the first result, whatever it expects, and writes nothing")
    {
        for (int round = 0; round < 2; ++round) {
            for (const auto expected :
                 {ExpectedVersion::exactly(StreamVersion{1}), ExpectedVersion::exactly(StreamVersion{4}),
                  ExpectedVersion::any(), ExpectedVersion::no_stream(), ExpectedVersion::stream_exists()}) {
                CHECK(append(*store, stream, expected, events) == first);
            }
            CHECK(count_events(*store) == static_cast<std::size_t>(4 + round));
            append_some(*store, stream, 1); // also when the stream has grown since
        }
    }

    SECTION("a repeated append says that it is one, and the first and the next one do not")
    {
        CHECK_FALSE(first.repeated);
        const std::vector<SampleEvent> single(1);
        CHECK_FALSE(append(*store, stream, ExpectedVersion::any(), single).repeated);
        for (const auto& repeated : {events, single}) {
            for (const auto expected :
                 {ExpectedVersion::exactly(StreamVersion{1}), ExpectedVersion::exactly(StreamVersion{4}),
                  ExpectedVersion::exactly(StreamVersion{5}), ExpectedVersion::any(), ExpectedVersion::no_stream(),
                  ExpectedVersion::stream_exists()}) {
                CHECK(append(*store, stream, expected, repeated).repeated);
            }
        }
        for (const auto expected : {ExpectedVersion::exactly(StreamVersion{5}), ExpectedVersion::any()}) {
            CHECK_FALSE(append(*store, stream, expected, std::vector<SampleEvent>(1)).repeated);
        }
    }

    SECTION("a repeated append of one event as well, whatever it expects")
    {
        const std::vector<SampleEvent> single(1);
        const auto result = append(*store, stream, ExpectedVersion::any(), single);
        constexpr std::uint64_t largest = ~std::uint64_t{0} >> 1U;
        for (const std::uint64_t version : {std::uint64_t{0}, std::uint64_t{4}, largest, largest + 1}) {
            CHECK(append(*store, stream, ExpectedVersion::exactly(StreamVersion{version}), single) == result);
        }
    }

    SECTION("a repeat keeps what was stored first")
    {
        clock.advance(std::chrono::hours{1});
        auto changed = events;
        changed[0].payload = bytes("changed");
        append(*store, stream, ExpectedVersion::any(), changed);
        const auto found = read_stream(*store, stream, StreamVersion{2});
        REQUIRE(found.size() == 3);
        CHECK(found[0].content.payload == events[0].payload);
        CHECK(found[0].recorded_at < clock.now());
    }

    SECTION("ids of an append to another stream") { CHECK(is_refused(sample_stream("two"), events)); }

    SECTION("ids of an append, in another order") { CHECK(is_refused(stream, {events[1], events[0], events[2]})); }

    SECTION("the first ids of an append") { CHECK(is_refused(stream, {events[0], events[1]})); }

    SECTION("the last ids of an append") { CHECK(is_refused(stream, {events[1], events[2]})); }

    SECTION("ids of an append, and more")
    {
        CHECK(is_refused(stream, {events[0], events[1], events[2], SampleEvent{}}));
    }

    SECTION("new ids, and then one of an append")
    {
        CHECK(is_refused(stream, {SampleEvent{}, SampleEvent{}, events[0]}));
    }

    SECTION("a new stream, new ids, and then one of an append")
    {
        CHECK(is_refused(sample_stream("two"), {SampleEvent{}, events[0]}));
    }

    SECTION("ids of two appends")
    {
        const auto next = append_some(*store, stream, 1);
        CHECK(is_refused(stream, {events[0], events[1], events[2], next[0]}));
    }

    SECTION("an id given twice")
    {
        const SampleEvent twice;
        CHECK(is_refused(stream, {twice, twice}));
        CHECK(is_refused(stream, {twice, SampleEvent{}, twice}));
        CHECK_FALSE(store->locate(twice.id));
    }

    SECTION("the refusal names the id")
    {
        const auto failure = failure_of_append<DuplicateEventId>(*store, stream, ExpectedVersion::any(),
                                                                 {SampleEvent{}, SampleEvent{}, events[2]});
        REQUIRE(failure);
        CHECK(failure->id() == events[2].id);
    }
}

} // namespace escqrs::inline v0::testing::detail
