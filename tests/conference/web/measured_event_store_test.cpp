// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "web/measured_event_store.hpp"

#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/event_store_conformance.hpp>

#include <memory>

namespace {

using conference::web::MeasuredEventStore;

struct Fixture {
    static constexpr bool is_durable = false;

    std::unique_ptr<MeasuredEventStore> open(escqrs::Clock& clock)
    {
        const escqrs::AnyEventStore store{
            std::make_shared<escqrs::in_memory::EventStore>(escqrs::in_memory::EventStoreOptions{&clock})};
        return std::make_unique<MeasuredEventStore>(store, metrics);
    }

    conference::http::Metrics metrics;
};

} // namespace

TEST_CASE("a store whose appends are measured is an event store")
{
    Fixture fixture;
    escqrs::testing::event_store_conformance(fixture);
}
