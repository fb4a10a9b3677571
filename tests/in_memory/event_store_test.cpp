// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/core/id_generator.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/store/any_event_store.hpp>
#include <escqrs/store/forwarding_event_store.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/event_store_conformance.hpp>

#include <cstdint>
#include <limits>
#include <memory>

namespace {

using escqrs::in_memory::EventStore;

struct Fixture {
    static constexpr bool is_durable = false;

    static std::unique_ptr<EventStore> open(escqrs::Clock& clock)
    {
        return std::make_unique<EventStore>(escqrs::in_memory::EventStoreOptions{&clock});
    }
};

struct AnyFixture {
    static constexpr bool is_durable = false;

    static std::unique_ptr<escqrs::AnyEventStore> open(escqrs::Clock& clock)
    {
        return std::make_unique<escqrs::AnyEventStore>(
            std::make_shared<EventStore>(escqrs::in_memory::EventStoreOptions{&clock}));
    }
};

struct ForwardingFixture {
    using Store = escqrs::ForwardingEventStore<EventStore>;
    static constexpr bool is_durable = false;

    static std::unique_ptr<Store> open(escqrs::Clock& clock)
    {
        return std::make_unique<Store>(escqrs::in_memory::EventStoreOptions{&clock});
    }
};

} // namespace

TEST_CASE("the store in memory is an event store")
{
    Fixture fixture;
    escqrs::testing::event_store_conformance(fixture);
}

TEST_CASE("a store chosen at run time is an event store")
{
    AnyFixture fixture;
    escqrs::testing::event_store_conformance(fixture);
}

TEST_CASE("a store that forwards everything is an event store")
{
    ForwardingFixture fixture;
    escqrs::testing::event_store_conformance(fixture);
}

TEST_CASE("the store in memory has no events beyond the end of a stream, whatever a machine's size_t holds")
{
    constexpr std::uint64_t beyond_32_bits = std::uint64_t{1} << 32U;
    EventStore store;
    const escqrs::StreamId stream{"door", "front"};
    const escqrs::NewEvent event{escqrs::EventId{escqrs::random_uuid()}, "DoorOpened", 0, "text/plain", {}, {}};
    store.append(stream, escqrs::ExpectedVersion::any(), {&event, 1});
    for (const std::uint64_t from : {std::uint64_t{2}, beyond_32_bits + 1, std::numeric_limits<std::uint64_t>::max()}) {
        store.read_stream(stream, escqrs::StreamVersion{from}, [](const escqrs::RecordedEvent& read) {
            FAIL_CHECK("found the event of version " << read.version.value());
            return true;
        });
    }
    CHECK(store.read_log(escqrs::GlobalPosition{beyond_32_bits}, 10, [](auto&) { return false; }).value() ==
          beyond_32_bits);
}
