// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <service_bus/lock_times.hpp>

#include <escqrs/testing/catch2.hpp>

#include <chrono>

namespace {

using namespace service_bus;
using namespace std::chrono_literals;
using escqrs::Timestamp;

const Timestamp now = std::chrono::sys_days{std::chrono::year{2026} / 1 / 1};
const Moment moment{.steady = escqrs::SteadyTime{1h}, .time_of_day = now};

} // namespace

TEST_CASE("a lock lasts as long as the broker says, where the clocks agree")
{
    const LockTimes times;
    CHECK(times.left(now + 30s, moment) == TimeLeft{30s, 30s});
    CHECK(times.left(now + 5min, moment) == TimeLeft{5min, 5min});
    const auto endless = escqrs::Duration::max();
    CHECK(times.left(Timestamp::max(), moment) == TimeLeft{endless, endless});
    CHECK_FALSE(LockTimes::disagrees(now + 30s, moment));
    CHECK_FALSE(LockTimes::disagrees(Timestamp::max(), moment));
}

TEST_CASE("with a wrong clock a lock lasts as long as the shortest surely, and as the longest at most")
{
    LockTimes times;
    for (const Timestamp locked_until : {now + 1s, now - 10min, now + 1h, Timestamp::min()})
        CHECK(times.left(locked_until, moment) == TimeLeft{5s, 5min});
    for (const Timestamp locked_until : {now, now - 10min, now + 1h, Timestamp::min()})
        CHECK(LockTimes::disagrees(locked_until, moment));
    times.saw_lock(now + 1h, now + 1h - 40s); // it had waited for ten seconds
    CHECK(times.left(now + 1h, moment) == TimeLeft{5s, 40s});
    times.saw_lock(now + 1h, now + 1h - 30s);
    times.saw_lock(now + 1h, now - 1h); // it had waited for long
    CHECK(times.left(now - 1h, moment) == TimeLeft{5s, 30s});
    CHECK(times.left(now + 35s, moment) == TimeLeft{30s, 30s}); // a little behind
    CHECK(times.left(now + 20s, moment) == TimeLeft{20s, 20s});
    times.saw_lock(now, now + 1h); // nonsense
    CHECK(times.left(now + 1h, moment) == TimeLeft{5s, 30s});
}

TEST_CASE("a message shows what time it is at the broker, and this machine's clock may be behind by that")
{
    LockTimes times;
    times.saw_enqueued(now + 1min, now + 30s, moment.steady); // nonsense
    times.saw_enqueued(now - 1h, now + 2min, moment.steady);
    CHECK_FALSE(times.is_behind(moment));
    CHECK(times.left(now + 2min, moment) == TimeLeft{2min, 2min});
    times.saw_enqueued(now + 90s, now + 2min, moment.steady);
    CHECK(times.is_behind(moment));
    CHECK(times.left(now + 2min, moment) == TimeLeft{30s, 30s});
    times.saw_enqueued(now + 80s, now + 2min, moment.steady); // the one before said more
    CHECK(times.left(now + 2min, moment) == TimeLeft{30s, 30s});
    const Moment later{.steady = moment.steady + 10s, .time_of_day = now + 100s}; // the clock was set
    CHECK_FALSE(times.is_behind(later));
    CHECK(times.left(now + 2min, later) == TimeLeft{20s, 20s});
}
