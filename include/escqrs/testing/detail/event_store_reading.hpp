// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/detail/sample_events.hpp>
#include <escqrs/testing/manual_clock.hpp>

#include <limits>
#include <stdexcept>
#include <vector>

namespace escqrs::inline v0::testing::detail {

/// Checks what readers of a stream and of the log are shown.
template <class Fixture>
void check_reading(Fixture& fixture)
{
    constexpr auto no_limit = std::numeric_limits<std::size_t>::max();
    constexpr StreamVersion start{1};
    ManualClock clock;
    const auto store = fixture.open(clock);
    const StreamId stream = sample_stream();

    SECTION("nothing in an empty store")
    {
        CHECK(read_stream(*store, stream).empty());
        CHECK(read_log(*store).empty());
        CHECK(store->head() == GlobalPosition{0});
        CHECK_FALSE(store->locate(EventId{random_uuid()}));
        CHECK(store->read_log(GlobalPosition{5}, 10, [](const RecordedEvent&) { return true; }) == GlobalPosition{5});
    }

    SECTION("the log's id, which stays the same")
    {
        const LogId id = store->log_id();
        CHECK_FALSE(id.is_nil());
        append_some(*store, stream, 2);
        CHECK(store->log_id() == id);
        CHECK((fixture.open(clock)->log_id() == id) == Fixture::is_durable);
    }

    SECTION("a stream from any version on")
    {
        append_some(*store, sample_stream("before"), 2);
        const auto events = append_some(*store, stream, 5);
        append_some(*store, sample_stream("behind"), 2);
        const auto middle = read_stream(*store, stream, StreamVersion{3});
        REQUIRE(middle.size() == 3);
        CHECK(middle[0].version == StreamVersion{3});
        CHECK(middle[0].content.id == events[2].id);
        CHECK(read_stream(*store, stream, StreamVersion{0}).size() == 5);
        CHECK(read_stream(*store, stream, StreamVersion{5}).size() == 1);
        CHECK(read_stream(*store, stream, StreamVersion{6}).empty());
        CHECK(read_stream(*store, stream, StreamVersion{std::numeric_limits<std::uint64_t>::max()}).empty());
    }

    SECTION("the log after any position, and no more than was asked for")
    {
        for (int round = 0; round < 4; ++round) append_some(*store, sample_stream(round % 2 == 0 ? "a" : "b"), 2);
        const auto log = read_log(*store);
        REQUIRE(log.size() == 8);
        CHECK(log.back().position == store->head());
        CHECK(log[2].stream == sample_stream("b"));

        const auto part = read_log(*store, log[2].position, 3);
        REQUIRE(part.size() == 3);
        for (std::size_t index = 0; index < 3; ++index) CHECK(part[index].content.id == log[index + 3].content.id);
        const auto ignore = [](const RecordedEvent&) { return true; };
        CHECK(store->read_log(log[2].position, 3, ignore) == log[5].position);
        CHECK(store->read_log(log[2].position, 0, ignore) == log[2].position);
        CHECK(store->read_log(log[2].position, no_limit, ignore) == store->head());
        CHECK(store->read_log(store->head(), no_limit, ignore) == store->head());
        CHECK(read_log(*store, GlobalPosition{std::numeric_limits<std::uint64_t>::max()}).empty());
    }

    SECTION("more events than a page of any store holds")
    {
        constexpr std::size_t count = 3000;
        std::vector<EventId> ids;
        for (std::size_t done = 0; done < count; done += 100) {
            for (const auto& event : append_some(*store, stream, 100)) ids.push_back(event.id);
            append_some(*store, sample_stream("other"), 1);
        }
        const auto check = [&](const std::vector<StoredEvent>& found, std::size_t from) {
            REQUIRE(found.size() == count - from);
            bool same = true;
            for (std::size_t index = 0; index < found.size(); ++index) {
                same = same && found[index].content.id == ids[from + index] &&
                       found[index].version == StreamVersion{from + index + 1};
            }
            CHECK(same);
        };
        check(read_stream(*store, stream), 0);
        check(read_stream(*store, stream, StreamVersion{1234}), 1233);
        CHECK(count_events(*store) == count + count / 100);
        CHECK(read_log(*store, {}, 2500).size() == 2500);
    }

    SECTION("many large events")
    {
        std::vector<SampleEvent> events(6);
        for (auto& event : events) event.payload.resize(700'000, std::byte{7});
        append(*store, stream, ExpectedVersion::any(), events);
        CHECK(read_stream(*store, stream).size() == 6);
        CHECK(read_log(*store).size() == 6);
    }

    SECTION("a sink that has had enough gets no more")
    {
        append_some(*store, stream, 10);
        std::size_t shown = 0;
        const auto take_three = [&](const RecordedEvent&) { return ++shown < 3; };
        store->read_stream(stream, start, take_three);
        CHECK(shown == 3);
        shown = 0;
        const auto reached = store->read_log({}, no_limit, take_three);
        CHECK(shown == 3);
        CHECK(reached == read_log(*store)[2].position);
    }

    SECTION("a sink may throw, over and over")
    {
        append_some(*store, stream, 3);
        const auto fail = [](const RecordedEvent&) -> bool { throw std::out_of_range{"the sink's own"}; };
        for (int round = 0; round < 50; ++round) {
            CHECK_THROWS_AS(store->read_stream(stream, start, fail), std::out_of_range);
            CHECK_THROWS_AS(store->read_log({}, no_limit, fail), std::out_of_range);
        }
        append_some(*store, stream, 1);
        CHECK(read_stream(*store, stream).size() == 4);
    }

    SECTION("a sink may append")
    {
        append_some(*store, stream, 5);
        const StreamId copies = sample_stream("copies");
        store->read_stream(stream, start, [&](const RecordedEvent& event) {
            append_some(*store, copies, 1);
            append_some(*store, stream, 1);
            return event.version < StreamVersion{5};
        });
        CHECK(version_of(*store, copies) == StreamVersion{5});
        CHECK(version_of(*store, stream) == StreamVersion{10});
        store->read_log({}, 5, [&](const RecordedEvent&) {
            append_some(*store, copies, 1);
            return true;
        });
        CHECK(version_of(*store, copies) == StreamVersion{10});
    }

    SECTION("a sink may read, and its sinks may")
    {
        append_some(*store, stream, 2);
        std::size_t deepest = 0;
        const auto read_deeper = [&](auto& self, std::size_t depth) -> void {
            deepest = std::max(deepest, depth);
            store->read_stream(stream, start, [&](const RecordedEvent& event) {
                if (depth < 40) self(self, depth + 1);
                return event.version < StreamVersion{1};
            });
        };
        read_deeper(read_deeper, 1);
        CHECK(deepest == 40);
    }

    SECTION("where an event is")
    {
        append_some(*store, sample_stream("two"), 2);
        const auto events = append_some(*store, stream, 3);
        const auto place = store->locate(events[1].id);
        REQUIRE(place);
        CHECK(place->stream == stream);
        CHECK(place->version == StreamVersion{2});
        CHECK(place->position == read_stream(*store, stream)[1].position);
        CHECK_FALSE(store->locate(EventId{}));
        CHECK_FALSE(store->locate(EventId{random_uuid()}));
    }
}

} // namespace escqrs::inline v0::testing::detail
