// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/store/event_log_digest.hpp>

#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/detail/sample_events.hpp>
#include <escqrs/testing/manual_clock.hpp>

#include <vector>

using namespace escqrs::testing::detail;
using escqrs::ExpectedVersion;

TEST_CASE("logs with the same events have the same digest, and one that differs in anything another")
{
    escqrs::testing::ManualClock clock;
    escqrs::in_memory::EventStore one{{.clock = &clock}};
    escqrs::in_memory::EventStore other{{.clock = &clock}};
    CHECK(escqrs::digest_of(one) == escqrs::EventLogDigest{});

    std::vector<SampleEvent> events(2);
    append(one, sample_stream(), ExpectedVersion::any(), events);
    append(other, sample_stream(), ExpectedVersion::any(), events);
    const auto digest = escqrs::digest_of(one);
    CHECK(digest == escqrs::digest_of(other));
    CHECK(digest.events == 2);
    CHECK(digest.head == one.head());

    events[1].payload.push_back(std::byte{1});
    escqrs::in_memory::EventStore changed{{.clock = &clock}};
    append(changed, sample_stream(), ExpectedVersion::any(), events);
    CHECK(escqrs::digest_of(changed).digest != digest.digest);

    escqrs::in_memory::EventStore elsewhere{{.clock = &clock}};
    events[1].payload.pop_back();
    append(elsewhere, sample_stream("other"), ExpectedVersion::any(), events);
    CHECK(escqrs::digest_of(elsewhere).digest != digest.digest);
}
