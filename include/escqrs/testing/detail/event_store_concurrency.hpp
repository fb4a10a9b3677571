// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/stop_token.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/detail/sample_events.hpp>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <limits>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace escqrs::inline v0::testing::detail {

/// Runs `work(index)` in several threads at once and waits for them.
/// @return the exceptions that they threw
template <class Work>
std::vector<std::string> in_threads(std::size_t count, Work work)
{
    std::mutex mutex;
    std::vector<std::string> failures;
    {
        std::vector<jthread> threads;
        for (std::size_t index = 0; index < count; ++index) {
            threads.emplace_back([&, index] {
                try {
                    work(index);
                } catch (const std::exception& error) {
                    const std::scoped_lock lock{mutex};
                    failures.emplace_back(error.what());
                }
            });
        }
    }
    return failures;
}

/// Checks what holds while many threads use the store. `stores` are one store, or several on one file.
template <class Stores>
void check_races(Stores& stores)
{
    constexpr std::size_t threads = 8;
    const auto& store = stores.front();
    const auto store_of = [&](std::size_t thread) -> auto& { return *stores[thread % stores.size()]; };
    const StreamId stream = sample_stream();

    SECTION("of all appends at one version, exactly one succeeds")
    {
        constexpr std::size_t rounds = 40;
        std::barrier round_begins{threads};
        std::atomic<std::size_t> conflicts{0};
        std::mutex mutex;
        std::map<std::uint64_t, std::vector<SampleEvent>> won; // by version after the append
        const auto failures = in_threads(threads, [&](std::size_t thread) {
            for (std::size_t round = 0; round < rounds; ++round) {
                round_begins.arrive_and_wait();
                const ExpectedVersion expected = ExpectedVersion::exactly(StreamVersion{2 * round});
                std::vector<SampleEvent> events(2);
                try {
                    const auto result = append(store_of(thread), stream, expected, events);
                    const std::scoped_lock lock{mutex};
                    won.emplace(result.version.value(), events);
                } catch (const ConcurrencyError&) {
                    ++conflicts;
                }
                round_begins.arrive_and_wait();
            }
        });
        CHECK(failures.empty());
        CHECK(won.size() == rounds);
        CHECK(conflicts == rounds * (threads - 1));
        const auto stored = read_stream(*store, stream);
        REQUIRE(stored.size() == 2 * rounds);
        bool told_the_truth = true;
        for (const auto& [version, events] : won) {
            const auto end = static_cast<std::size_t>(version);
            told_the_truth = told_the_truth && version <= stored.size() && stored[end - 2].content.id == events[0].id &&
                             stored[end - 1].content.id == events[1].id;
        }
        CHECK(told_the_truth);
        CHECK(count_events(*store) == 2 * rounds);
    }

    SECTION("appends at any version never conflict, and none is lost")
    {
        constexpr std::size_t rounds = 50;
        std::mutex mutex;
        std::map<EventId, AppendResult> acknowledged;
        const auto failures = in_threads(threads, [&](std::size_t thread) {
            for (std::size_t round = 0; round < rounds; ++round) {
                std::vector<SampleEvent> events(1 + round % 3);
                const auto result = append(store_of(thread), stream, ExpectedVersion::any(), events);
                const std::scoped_lock lock{mutex};
                acknowledged.emplace(events.back().id, result);
            }
        });
        CHECK(failures.empty());
        std::size_t found = 0;
        std::uint64_t version = 0;
        bool consecutive = true;
        for (const auto& event : read_stream(*store, stream)) {
            consecutive = consecutive && event.version.value() == ++version;
            const auto known = acknowledged.find(event.content.id);
            if (known == acknowledged.end()) continue;
            const bool is_there = known->second == AppendResult{event.version, event.position};
            if (is_there && !known->second.repeated) ++found;
        }
        CHECK(consecutive);
        CHECK(found == threads * rounds);
    }

    SECTION("the same append from all threads at once is stored once")
    {
        for (std::size_t round = 0; round < 20; ++round) {
            const std::vector<SampleEvent> events(2);
            std::vector<AppendResult> results(threads);
            const auto failures = in_threads(threads, [&](std::size_t thread) {
                const auto expected =
                    thread % 2 == 0 ? ExpectedVersion::exactly(StreamVersion{2 * round}) : ExpectedVersion::any();
                results[thread] = append(store_of(thread), stream, expected, events);
            });
            CHECK(failures.empty());
            for (const auto& result : results) CHECK(result == results.front());
            CHECK(std::ranges::count(results, false, &AppendResult::repeated) == 1);
            CHECK(results.front().version == StreamVersion{2 * round + 2});
        }
        CHECK(count_events(*store) == 40);
    }

    SECTION("repeats among other appends say that they are repeats, and no other does")
    {
        constexpr std::size_t rounds = 40;
        const std::vector<SampleEvent> stored(2);
        const auto first = append(*store, stream, ExpectedVersion::no_stream(), stored);
        std::atomic<std::size_t> mistaken{0};
        const auto failures = in_threads(threads, [&](std::size_t thread) {
            const StreamId own = sample_stream(std::to_string(thread));
            for (std::size_t round = 0; round < rounds; ++round) {
                const auto result = append(store_of(thread), stream, ExpectedVersion::any(), stored);
                if (result != first || !result.repeated) ++mistaken;
                const std::vector<SampleEvent> events(1 + round % 2);
                if (append(store_of(thread), own, ExpectedVersion::any(), events).repeated) ++mistaken;
                if (!append(store_of(thread + 1), own, ExpectedVersion::any(), events).repeated) ++mistaken;
            }
        });
        CHECK(failures.empty());
        CHECK(mistaken == 0);
        CHECK(count_events(*store) == 2 + threads * (rounds + rounds / 2));
    }

    SECTION("appends that fail, also halfway, take no other with them")
    {
        const auto taken = append_some(*store, sample_stream("taken"), 1);
        std::atomic<std::size_t> refused{0};
        const auto failures = in_threads(threads, [&](std::size_t thread) {
            const StreamId own = sample_stream(std::to_string(thread));
            for (std::size_t round = 0; round < 30; ++round) {
                try {
                    append(store_of(thread), own, ExpectedVersion::any(), {SampleEvent{}, SampleEvent{}, taken[0]});
                } catch (const DuplicateEventId&) {
                    ++refused;
                }
                append(store_of(thread), own, ExpectedVersion::exactly(StreamVersion{round}),
                       std::vector<SampleEvent>(1));
            }
        });
        CHECK(failures.empty());
        CHECK(refused == threads * 30);
        CHECK(count_events(*store) == 1 + threads * 30);
        for (std::size_t thread = 0; thread < threads; ++thread) {
            CHECK(version_of(*store, sample_stream(std::to_string(thread))) == StreamVersion{30});
        }
    }

    SECTION("readers that race writers miss nothing, and see every stream in order")
    {
        constexpr std::size_t readers = 3;
        constexpr std::size_t writers = 5;
        constexpr std::size_t rounds = 80;
        std::atomic<std::size_t> writing{writers};
        std::vector<std::set<EventId>> seen(readers);
        std::atomic<bool> in_order{true};
        std::mutex mutex;
        std::set<EventId> written;

        const auto failures = in_threads(readers + writers, [&](std::size_t thread) {
            if (thread >= readers) {
                const std::size_t writer = thread - readers;
                for (std::size_t round = 0; round < rounds; ++round) {
                    const StreamId target = sample_stream(std::to_string((round * writers + writer) % 37));
                    const auto events = append_some(store_of(thread), target, 1 + round % 2);
                    const std::scoped_lock lock{mutex};
                    for (const auto& event : events) written.insert(event.id);
                }
                --writing;
                return;
            }
            GlobalPosition position;
            std::map<StreamId, std::uint64_t> versions;
            for (bool last_look = false; !last_look;) {
                last_look = writing == 0;
                const auto behind = position;
                position = store_of(thread).read_log(position, 7 + thread, [&](const RecordedEvent& event) {
                    const bool ordered =
                        event.position > position && event.version.value() == versions[event.stream] + 1;
                    if (!ordered) in_order = false;
                    versions[event.stream] = event.version.value();
                    position = event.position;
                    seen[thread].insert(event.id);
                    return true;
                });
                if (position != behind) last_look = false;
            }
        });
        CHECK(failures.empty());
        CHECK(in_order);
        CHECK(written.size() == writers * (rounds + rounds / 2));
        for (const auto& ids : seen) CHECK((ids == written));
    }

    SECTION("after an append has returned, every reader finds it")
    {
        const auto failures = in_threads(threads, [&](std::size_t thread) {
            const StreamId own = sample_stream(std::to_string(thread));
            for (std::size_t round = 1; round <= 30; ++round) {
                const auto events = append_some(store_of(thread), own, 1);
                auto& other = store_of(thread + 1);
                const auto place = other.locate(events[0].id);
                if (!place || place->version != StreamVersion{round} ||
                    version_of(other, own) != StreamVersion{round} || other.head() < place->position) {
                    throw StoreError{"an acknowledged append is not to be seen"};
                }
            }
        });
        CHECK(failures.empty());
    }
}

} // namespace escqrs::inline v0::testing::detail
