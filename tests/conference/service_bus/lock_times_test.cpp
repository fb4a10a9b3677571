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
    const LockTimes times;
    for (const Timestamp locked_until : {now + 1s, now - 10min, now + 1h, Timestamp::min()})
        CHECK(times.left(locked_until, moment) == TimeLeft{5s, 5min});
    for (const Timestamp locked_until : {now, now - 10min, now + 1h, Timestamp::min()})
        CHECK(LockTimes::disagrees(locked_until, moment));
}

TEST_CASE("a message's own lock lasts no longer than since the message was enqueued")
{
    const LockTimes times;
    const auto left = [&](Timestamp locked_until, Timestamp enqueued_at) {
        return times.left(locked_until, moment, LockTimes::longest_for(locked_until, enqueued_at));
    };
    CHECK(left(now + 1h, now + 1h - 40s) == TimeLeft{5s, 40s});
    CHECK(left(now + 1h, now - 1h) == TimeLeft{5s, 5min});  // it had waited for long
    CHECK(left(now + 35s, now + 5s) == TimeLeft{30s, 30s}); // this clock is a little slow
    CHECK(left(now + 20s, now - 10s) == TimeLeft{20s, 20s});
    CHECK(left(now + 1h, now + 1h) == TimeLeft{5s, 5s});
    CHECK(left(now + 40s, now + 1h) == TimeLeft{40s, 40s}); // nonsense
}

TEST_CASE("a message shows what time it is at the broker, and how slow this machine's clock may be")
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
