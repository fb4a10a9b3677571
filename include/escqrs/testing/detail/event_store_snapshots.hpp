// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/stop_token.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/detail/sample_events.hpp>
#include <escqrs/testing/manual_clock.hpp>

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace escqrs::inline v0::testing::detail {

/// A snapshot that owns what a `Snapshot` refers to.
struct SampleSnapshot {
    StreamVersion version;
    unsigned schema_version = 1;
    std::string content_type = "application/octet-stream";
    std::vector<std::byte> payload;

    friend bool operator==(const SampleSnapshot&, const SampleSnapshot&) = default;
};

template <EventStore Store>
void write_snapshot(Store& store, const StreamId& stream, const SampleSnapshot& snapshot)
{
    store.write_snapshot(stream, {snapshot.version, snapshot.schema_version, snapshot.content_type, snapshot.payload});
}

template <EventStore Store>
std::optional<SampleSnapshot> read_snapshot(Store& store, const StreamId& stream)
{
    std::optional<SampleSnapshot> found;
    const bool is_shown = store.read_snapshot(stream, [&](const Snapshot& snapshot) {
        found = SampleSnapshot{snapshot.version,
                               snapshot.schema_version,
                               std::string{snapshot.content_type},
                               {snapshot.payload.begin(), snapshot.payload.end()}};
    });
    CHECK(is_shown == found.has_value());
    return found;
}

/// Checks snapshots of streams.
template <class Fixture>
void check_snapshots(Fixture& fixture)
{
    ManualClock clock;
    const auto store = fixture.open(clock);
    const StreamId stream = sample_stream();

    SECTION("none at first, and the last one written after that")
    {
        CHECK_FALSE(read_snapshot(*store, stream));
        append_some(*store, stream, 5);
        append_some(*store, sample_stream("two"), 1);
        CHECK_FALSE(read_snapshot(*store, stream));
        const SampleSnapshot first{StreamVersion{3}, 7, "application/json", bytes(std::string_view{"\0{}\xFF", 4})};
        write_snapshot(*store, stream, first);
        CHECK(read_snapshot(*store, stream) == first);
        CHECK_FALSE(read_snapshot(*store, sample_stream("two")));

        const SampleSnapshot second{StreamVersion{5}, 8, "", {}};
        write_snapshot(*store, stream, second);
        CHECK(read_snapshot(*store, stream) == second);
        write_snapshot(*store, stream, first); // as after a restored backup: it replaces a newer one
        CHECK(read_snapshot(*store, stream) == first);
    }

    SECTION("none of a stream without events, also when it has some later")
    {
        write_snapshot(*store, stream, {StreamVersion{3}, 1, "text/plain", bytes("of nothing")});
        CHECK_FALSE(read_snapshot(*store, stream));
        append_some(*store, stream, 3);
        CHECK_FALSE(read_snapshot(*store, stream));
    }

    SECTION("the log is as it was")
    {
        append_some(*store, stream, 2);
        const auto head = store->head();
        write_snapshot(*store, stream, {StreamVersion{2}, 1, "text/plain", bytes("state")});
        CHECK(store->head() == head);
        CHECK(read_log(*store).size() == 2);
        const auto next =
            append(*store, stream, ExpectedVersion::exactly(StreamVersion{2}), std::vector<SampleEvent>(1));
        CHECK(next.version == StreamVersion{3});
    }

    SECTION("a sink may use the store, and throw")
    {
        append_some(*store, stream, 1);
        const SampleSnapshot snapshot{StreamVersion{1}, 1, "text/plain", bytes("state")};
        write_snapshot(*store, stream, snapshot);
        CHECK(store->read_snapshot(stream, [&](const Snapshot&) {
            append_some(*store, stream, 1);
            write_snapshot(*store, stream, snapshot);
        }));
        CHECK_THROWS_AS(store->read_snapshot(stream, [](const Snapshot&) { throw std::runtime_error{"sink"}; }),
                        std::runtime_error);
        CHECK(read_snapshot(*store, stream) == snapshot);
    }

    SECTION("a reader among writers sees one of their snapshots, whole")
    {
        append_some(*store, stream, 1);
        const auto make = [](std::size_t size) {
            return SampleSnapshot{StreamVersion{1}, static_cast<unsigned>(size), "text/plain",
                                  std::vector<std::byte>(size, static_cast<std::byte>(size))};
        };
        std::atomic<bool> is_over{false};
        std::atomic<int> torn{0};
        std::vector<jthread> writers;
        for (std::size_t writer = 1; writer <= 2; ++writer) {
            writers.emplace_back([&, writer] {
                for (std::size_t round = 0; round < 100; ++round)
                    write_snapshot(*store, stream, make(writer * 1000 + round));
            });
        }
        jthread reader{[&] {
            while (!is_over) {
                store->read_snapshot(stream, [&](const Snapshot& snapshot) {
                    const SampleSnapshot expected = make(snapshot.schema_version);
                    if (!std::ranges::equal(snapshot.payload, expected.payload)) ++torn;
                });
            }
        }};
        writers.clear();
        is_over = true;
        reader.join();
        CHECK(torn == 0);
        CHECK(read_snapshot(*store, stream).has_value());
    }

    if constexpr (Fixture::is_durable) {
        SECTION("also when the store is opened again")
        {
            append_some(*store, stream, 1);
            const SampleSnapshot snapshot{StreamVersion{1}, 3, "text/plain", bytes("state")};
            write_snapshot(*store, stream, snapshot);
            const auto other = fixture.open(clock);
            CHECK(read_snapshot(*other, stream) == snapshot);
        }
    }
}

} // namespace escqrs::inline v0::testing::detail
