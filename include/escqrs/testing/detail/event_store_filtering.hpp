// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/detail/event_store_concurrency.hpp>
#include <escqrs/testing/detail/sample_events.hpp>
#include <escqrs/testing/manual_clock.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace escqrs::inline v0::testing::detail {

/// Reads all that a filter shows, page by page, and checks that every page keeps the promises.
template <EventStore Store>
std::vector<StoredEvent> read_filtered(Store& store, const EventFilter& filter, std::size_t page_size,
                                       GlobalPosition after = {})
{
    std::vector<StoredEvent> found;
    bool good = true;
    for (GlobalPosition position = after;;) {
        std::size_t shown = 0;
        const GlobalPosition reached = store.read_log(position, page_size, filter, [&](const RecordedEvent& event) {
            good = good && event.position > position && ++shown <= page_size;
            good = good && (found.empty() || found.back().position < event.position);
            found.emplace_back(event);
            return true;
        });
        good = good && reached >= position && (shown == 0 || reached >= found.back().position);
        if (reached == position) break;
        position = reached;
    }
    CHECK(good);
    return found;
}

/// The same without a filter in the store: reads everything, and drops what the filter does not match.
template <EventStore Store>
std::vector<StoredEvent> filter_by_hand(Store& store, const EventFilter& filter, GlobalPosition after = {})
{
    std::vector<StoredEvent> wanted;
    for (const StoredEvent& event : read_log(store, after)) {
        if (filter.matches(event.stream.category(), event.content.type)) wanted.push_back(event);
    }
    return wanted;
}

inline bool same_events(const std::vector<StoredEvent>& left, const std::vector<StoredEvent>& right)
{
    return std::ranges::equal(left, right, [](const StoredEvent& one, const StoredEvent& other) {
        return one.position == other.position && one.content.id == other.content.id && one.stream == other.stream &&
               one.version == other.version && one.content.type == other.content.type &&
               one.content.payload == other.content.payload;
    });
}

inline std::vector<EventFilter> sample_filters()
{
    return {{},
            {.categories = {"order"}},
            {.categories = {"order", "or"}},
            {.types = {"Kind2"}},
            {.types = {"Kind1", "Kind2", "It's"}},
            {.categories = {"or"}, .types = {"Kind0", "It's"}},
            {.categories = {"nobody"}},
            {.categories = {"order-1"}}, // no category has a hyphen
            {.categories = {""}},
            {.categories = {"order", "order-1"}},
            {.types = {"Nothing"}},
            {.types = {""}},
            {.types = {"kind1"}},
            {.types = {"Kind"}}};
}

/// Appends to streams whose categories begin alike, with types whose names do.
template <EventStore Store>
void append_mixture(Store& store, std::size_t round, std::size_t count = 1)
{
    const std::vector<StreamId> streams{StreamId{"order", "1"},  StreamId{"order", "2"}, StreamId{"orders", "1"},
                                        StreamId{"or", "der-1"}, StreamId{"or", "1"},    StreamId{"order", "1-2"}};
    const std::vector<std::string> types{"Kind0", "Kind1", "Kind2", "Kind", "It's", "Kind10", "kind1"};
    std::vector<SampleEvent> events(count);
    for (std::size_t index = 0; index < count; ++index) {
        events[index].type = types[(round * 3 + index) % types.size()];
        events[index].schema_version = static_cast<unsigned>(round % 3);
        events[index].payload = bytes(std::to_string(round));
    }
    append(store, streams[(round * 7) % streams.size()], ExpectedVersion::any(), events);
}

/// A filtered read shows what filtering everything shows.
template <class Fixture>
void check_filtering(Fixture& fixture)
{
    constexpr auto no_limit = std::numeric_limits<std::size_t>::max();
    ManualClock clock;
    const auto store = fixture.open(clock);
    const auto ignore = [](const RecordedEvent&) { return true; };

    SECTION("as by hand, from any position and for pages of any size")
    {
        for (std::size_t round = 0; round < 60; ++round) append_mixture(*store, round, 1 + round % 4);
        for (const EventFilter& filter : sample_filters()) {
            INFO("categories " << filter.categories.size() << ", types " << filter.types.size());
            const auto wanted = filter_by_hand(*store, filter);
            for (const std::size_t page_size : {std::size_t{1}, std::size_t{7}, no_limit}) {
                CHECK(same_events(read_filtered(*store, filter, page_size), wanted));
            }
            const GlobalPosition middle = read_log(*store)[70].position;
            CHECK(same_events(read_filtered(*store, filter, 5, middle), filter_by_hand(*store, filter, middle)));
        }
    }

    SECTION("by thousands of categories and types")
    {
        for (std::size_t round = 0; round < 20; ++round) append_mixture(*store, round, 3);
        EventFilter filter;
        for (int number = 0; number < 3000; ++number) {
            filter.categories.push_back("category" + std::to_string(number));
            filter.types.push_back("Type" + std::to_string(number));
        }
        CHECK(read_filtered(*store, filter, 10).empty());
        for (const char* const category : {"or", "order-1", ""}) filter.categories.emplace_back(category);
        for (const char* const type : {"Kind1", "Kind2", "It's"}) filter.types.emplace_back(type);
        CHECK(same_events(read_filtered(*store, filter, 10), filter_by_hand(*store, filter)));
        filter.types.clear();
        CHECK(same_events(read_filtered(*store, filter, 10), filter_by_hand(*store, filter)));
    }

    SECTION("what was passed over counts as read")
    {
        append_some(*store, sample_stream("a"), 100);
        append_some(*store, StreamId{"other", "1"}, 1);
        append_some(*store, sample_stream("a"), 100);
        const auto log = read_log(*store);
        const EventFilter others{.categories = {"other"}};
        CHECK(store->read_log({}, 1, others, ignore) == log[100].position);
        CHECK(store->read_log({}, 2, others, ignore) == store->head());
        CHECK(store->read_log({}, no_limit, {.types = {"Nothing"}}, ignore) == store->head());
        CHECK(store->read_log({}, 0, others, ignore) == GlobalPosition{});
        CHECK(store->read_log(store->head(), 1, others, ignore) == store->head());
        const GlobalPosition beyond{std::numeric_limits<std::uint64_t>::max()};
        CHECK(store->read_log(beyond, 1, others, ignore) == beyond);
        CHECK(store->read_log(log[100].position, 1, {}, ignore) == log[101].position);
    }

    SECTION("a kind of event that is new while a reader reads")
    {
        const EventFilter late{.types = {"Late"}};
        append_some(*store, sample_stream("a"), 3);
        CHECK(read_filtered(*store, late, 10).empty());
        SampleEvent event;
        event.type = "Late";
        append(*store, sample_stream("a"), ExpectedVersion::any(), {event});
        CHECK(read_filtered(*store, late, 10).size() == 1);
    }

    SECTION("many large events")
    {
        for (int round = 0; round < 5; ++round) {
            std::vector<SampleEvent> events(2);
            for (auto& event : events) event.payload.resize(700'000, std::byte{7});
            events[1].type = "Wanted";
            append(*store, sample_stream("large"), ExpectedVersion::any(), events);
        }
        CHECK(read_filtered(*store, {.types = {"Wanted"}}, no_limit).size() == 5);
    }

    SECTION("a sink that has had enough gets no more, and may append, read and throw")
    {
        for (std::size_t round = 0; round < 30; ++round) append_mixture(*store, round);
        const EventFilter filter{.types = {"Kind0", "Kind1"}};
        const auto wanted = filter_by_hand(*store, filter);
        std::size_t shown = 0;
        const auto reached = store->read_log({}, no_limit, filter, [&](const RecordedEvent&) {
            append_mixture(*store, shown);
            CHECK(store->read_log({}, 1, filter, ignore) == wanted[0].position);
            return ++shown < 3;
        });
        CHECK(shown == 3);
        CHECK(reached == wanted[2].position);
        const auto fail = [](const RecordedEvent&) -> bool { throw std::out_of_range{"the sink's own"}; };
        for (int round = 0; round < 50; ++round) {
            CHECK_THROWS_AS(store->read_log({}, no_limit, filter, fail), std::out_of_range);
        }
        CHECK(same_events(read_filtered(*store, filter, 4), filter_by_hand(*store, filter)));
    }
}

/// Filtering readers that race writers miss nothing. `stores` are one store, or several on one file.
template <class Stores>
void check_filtering_races(Stores& stores)
{
    constexpr std::size_t writers = 4;
    constexpr std::size_t rounds = 100;
    const auto store_of = [&](std::size_t thread) -> auto& { return *stores[thread % stores.size()]; };
    const std::vector<EventFilter> filters{
        {.types = {"Kind2"}}, {.categories = {"order"}}, {.categories = {"or"}, .types = {"Kind0", "It's"}}};
    std::atomic<std::size_t> writing{writers};
    std::vector<std::vector<StoredEvent>> seen(filters.size());
    const auto failures = in_threads(writers + filters.size(), [&](std::size_t thread) {
        if (thread >= filters.size()) {
            for (std::size_t round = 0; round < rounds; ++round) append_mixture(store_of(thread), round + thread);
            --writing;
            return;
        }
        GlobalPosition position;
        for (bool last_look = false; !last_look;) {
            last_look = writing == 0;
            const auto collect = [&](const RecordedEvent& event) {
                seen[thread].emplace_back(event);
                return true;
            };
            const auto reached = store_of(thread).read_log(position, 3 + thread, filters[thread], collect);
            if (reached != position) last_look = false;
            position = reached;
        }
    });
    CHECK(failures.empty());
    for (std::size_t index = 0; index < filters.size(); ++index) {
        CHECK_FALSE(seen[index].empty());
        CHECK(same_events(seen[index], filter_by_hand(*stores.front(), filters[index])));
    }
}

} // namespace escqrs::inline v0::testing::detail
