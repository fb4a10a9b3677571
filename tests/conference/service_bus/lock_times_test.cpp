// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <service_bus/lock_times.hpp>

#include <escqrs/testing/catch2.hpp>

#include <chrono>

namespace {

using service_bus::LockTimes;
using service_bus::TimeLeft;
using namespace std::chrono_literals;
using escqrs::Timestamp;

const Timestamp now = std::chrono::sys_days{std::chrono::year{2026} / 1 / 1};

} // namespace

TEST_CASE("a lock lasts as long as the broker says, where the clocks agree")
{
    const LockTimes times;
    CHECK(times.left(now + 30s, now) == TimeLeft{30s, 30s});
    CHECK(times.left(now + 5min, now) == TimeLeft{5min, 5min});
    const auto endless = escqrs::Duration::max();
    CHECK(times.left(Timestamp::max(), now) == TimeLeft{endless, endless});
    CHECK_FALSE(LockTimes::clocks_disagree(now + 30s, now));
    CHECK_FALSE(LockTimes::clocks_disagree(Timestamp::max(), now));
}

TEST_CASE("with a wrong clock a lock lasts as long as the shortest surely, and as the longest at most")
{
    LockTimes times;
    for (const Timestamp locked_until : {now + 1s, now - 10min, now + 1h, Timestamp::min()})
        CHECK(times.left(locked_until, now) == TimeLeft{5s, 5min});
    for (const Timestamp locked_until : {now, now - 10min, now + 1h, Timestamp::min()})
        CHECK(LockTimes::clocks_disagree(locked_until, now));
    times.saw(now + 1h, now + 1h - 40s); // it had waited for ten seconds
    CHECK(times.left(now + 1h, now) == TimeLeft{5s, 40s});
    times.saw(now + 1h, now + 1h - 30s);
    times.saw(now + 1h, now - 1h); // it had waited for long
    CHECK(times.left(now - 1h, now) == TimeLeft{5s, 30s});
    CHECK(times.left(now + 35s, now) == TimeLeft{30s, 30s}); // a little behind
    CHECK(times.left(now + 20s, now) == TimeLeft{20s, 20s});
    times.saw(now, now + 1h); // nonsense
    CHECK(times.left(now + 1h, now) == TimeLeft{5s, 5s});
}
