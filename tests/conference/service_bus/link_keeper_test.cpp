// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <service_bus/link_keeper.hpp>

#include <escqrs/testing/catch2.hpp>

#include <chrono>
#include <vector>

namespace {

using namespace service_bus;
using namespace std::chrono_literals;

const escqrs::SteadyTime begin{1h};
const Condition internal_error{"amqp:internal-error", "told by the test"};

LinkKeeper make_keeper()
{
    return {reconnect_backoff(1s, 60s, [] { return 0.5; }), 30s};
}

/// A link that is attached at once, and let go a moment later.
LinkLife short_life(escqrs::SteadyTime at) { return {.asked_at = at, .attached_at = at, .has_moved = false}; }

} // namespace

TEST_CASE("a link was of use when it moved a message, or lived for seconds")
{
    LinkLife life{.asked_at = begin};
    CHECK_FALSE(life.has_worked(begin + 1h));
    life.attached_at = begin + 1h;
    CHECK_FALSE(life.has_worked(begin + 1h + 1999ms));
    CHECK(life.has_worked(begin + 1h + 2s));
    life.has_moved = true;
    CHECK(life.has_worked(begin + 1h));
}

TEST_CASE("links that are let go at once have growing pauses between them, and the keeper says why")
{
    LinkKeeper keeper = make_keeper();
    CHECK(keeper.state() == LinkState::unknown);
    CHECK(keeper.may_attach(begin));
    escqrs::SteadyTime now = begin;
    std::vector<escqrs::Duration> pauses;
    for (int attempt = 0; attempt < 7; ++attempt) {
        keeper.attached();
        CHECK(keeper.state() == (attempt == 0 ? LinkState::working : LinkState::failing));
        CHECK(keeper.ended(short_life(now), internal_error, now).recovery == Recovery::reattach_link);
        CHECK(keeper.state() == LinkState::failing);
        CHECK(keeper.problem() == "amqp:internal-error: told by the test");
        pauses.push_back(keeper.not_before() - now);
        CHECK_FALSE(keeper.may_attach(keeper.not_before() - 1us));
        now = keeper.not_before();
    }
    CHECK(pauses == std::vector<escqrs::Duration>{1s, 2s, 4s, 8s, 16s, 32s, 60s});

    const LinkLife good = {.asked_at = now, .attached_at = now, .has_moved = true};
    keeper.worked(good);
    CHECK(keeper.state() == LinkState::working);
    CHECK(keeper.problem().empty());
    (void)keeper.ended(good, internal_error, now + 1s);
    CHECK(keeper.may_attach(now + 1s)); // it had worked: at once
    (void)keeper.ended(short_life(now + 1s), internal_error, now + 1s);
    CHECK(keeper.not_before() == now + 2s); // from the beginning
}

TEST_CASE("a link from before the last failure does not speak for those after it")
{
    LinkKeeper keeper = make_keeper();
    const LinkLife old{.asked_at = begin, .attached_at = begin, .has_moved = true};
    keeper.worked(old);
    (void)keeper.ended(short_life(begin + 1s), internal_error, begin + 2s);
    keeper.worked(old);
    CHECK_FALSE(keeper.overdue(old, 0s, false, begin + 1h));
    CHECK(keeper.state() == LinkState::failing);
    CHECK_FALSE(keeper.overdue(short_life(begin + 4s), 0s, false, begin + 5s));
    CHECK(keeper.state() == LinkState::failing);
    CHECK_FALSE(keeper.overdue(short_life(begin + 4s), 0s, false, begin + 6s));
    CHECK(keeper.state() == LinkState::working);
}

TEST_CASE("links that were asked for together and fail together are one failure")
{
    LinkKeeper keeper = make_keeper();
    for (int link = 0; link < 5; ++link) (void)keeper.ended(LinkLife{.asked_at = begin}, internal_error, begin + 1s);
    CHECK(keeper.not_before() == begin + 2s);
}

TEST_CASE("a broker has its time to answer an attach, and the second time in a row the connection is given up")
{
    LinkKeeper keeper = make_keeper();
    const LinkLife asked{.asked_at = begin};
    CHECK_FALSE(keeper.overdue(asked, 10s, false, begin + 40s - 1us));
    const auto first = keeper.overdue(asked, 10s, false, begin + 40s);
    REQUIRE(first);
    CHECK(keeper.ended(asked, *first, begin + 40s).recovery == Recovery::reattach_link);
    CHECK(keeper.state() == LinkState::failing);
    CHECK(keeper.problem() == "the broker does not answer the attach");
    const LinkLife again{.asked_at = begin + 41s};
    const auto second = keeper.overdue(again, 0s, false, begin + 71s);
    REQUIRE(second);
    CHECK(keeper.ended(again, *second, begin + 71s).recovery == Recovery::reconnect);
    keeper.connection_lost();
    CHECK(keeper.may_attach(begin + 71s));
    CHECK(keeper.state() == LinkState::failing);
}

TEST_CASE("attaches that were sent together and are not answered count once")
{
    LinkKeeper keeper = make_keeper();
    const LinkLife together{.asked_at = begin};
    const auto why = keeper.overdue(together, 0s, false, begin + 30s);
    REQUIRE(why);
    for (int link = 0; link < 3; ++link)
        CHECK(keeper.ended(together, *why, begin + 30s).recovery == Recovery::reattach_link);
    const LinkLife again{.asked_at = begin + 31s};
    CHECK(keeper.ended(again, *why, begin + 61s).recovery == Recovery::reconnect);
}

TEST_CASE("a broker has its time to give credit, and the link is given up after it, however long it lived")
{
    LinkKeeper keeper = make_keeper();
    const LinkLife life{.asked_at = begin, .attached_at = begin, .has_moved = true};
    CHECK_FALSE(keeper.overdue(life, 0s, true, begin + 1h));
    CHECK_FALSE(keeper.overdue(life, 0s, true, begin + 1h + 29s));
    CHECK_FALSE(keeper.overdue(life, 0s, false, begin + 1h + 30s)); // it gave some
    CHECK_FALSE(keeper.overdue(life, 0s, true, begin + 2h));
    const auto why = keeper.overdue(life, 0s, true, begin + 2h + 30s);
    REQUIRE(why);
    CHECK(keeper.ended(life, *why, begin + 2h + 30s).recovery == Recovery::reattach_link);
    CHECK(keeper.state() == LinkState::failing);
    CHECK_FALSE(keeper.may_attach(begin + 2h + 30s));
}

TEST_CASE("that no session is free is no failure, and said before its time it has a pause")
{
    LinkKeeper keeper = make_keeper();
    keeper.no_session(LinkLife{.asked_at = begin}, 10s, begin + 10s);
    CHECK(keeper.state() == LinkState::waiting);
    CHECK(keeper.may_attach(begin + 10s));
    keeper.no_session(LinkLife{.asked_at = begin + 10s}, 10s, begin + 10s + 1ms);
    CHECK(keeper.state() == LinkState::waiting);
    CHECK(keeper.not_before() == begin + 10s + 101ms);
    (void)keeper.ended(short_life(begin + 11s), {"com.microsoft:session-lock-lost", ""}, begin + 11s);
    CHECK(keeper.state() == LinkState::waiting);
    CHECK(keeper.not_before() == begin + 11s + 100ms);
}

TEST_CASE("sessions that are lost as soon as they are accepted are a failure from the second in a row on")
{
    LinkKeeper keeper = make_keeper();
    const Condition lost{"com.microsoft:session-lock-lost", ""};
    escqrs::SteadyTime now = begin;
    std::vector<escqrs::Duration> pauses;
    for (int attempt = 0; attempt < 4; ++attempt) {
        keeper.attached();
        CHECK(keeper.ended(short_life(now), lost, now).recovery == Recovery::reattach_link);
        pauses.push_back(keeper.not_before() - now);
        CHECK((keeper.state() == LinkState::failing) == (attempt > 0));
        now = keeper.not_before();
    }
    CHECK(pauses == std::vector<escqrs::Duration>{100ms, 1s, 2s, 4s});
    keeper.worked({.asked_at = now, .attached_at = now, .has_moved = true});
    (void)keeper.ended(short_life(now), lost, now);
    CHECK(keeper.not_before() == now + 100ms);
    CHECK(keeper.state() == LinkState::working);
}

TEST_CASE("an attach that may wait for a session is no link that works, nor one that fails")
{
    LinkKeeper keeper = make_keeper();
    keeper.waits_for_session();
    CHECK(keeper.state() == LinkState::waiting);
    SECTION("the broker attaches it")
    {
        keeper.attached();
        CHECK(keeper.state() == LinkState::working);
        keeper.waits_for_session(); // for a further session
        CHECK(keeper.state() == LinkState::working);
    }
    SECTION("the broker never answers it")
    {
        const LinkLife asked{.asked_at = begin};
        const auto why = keeper.overdue(asked, 10s, false, begin + 40s);
        REQUIRE(why);
        (void)keeper.ended(asked, *why, begin + 40s);
        keeper.waits_for_session();
        CHECK(keeper.state() == LinkState::failing);
        keeper.no_session(LinkLife{.asked_at = begin + 41s}, 10s, begin + 51s); // it answers again
        CHECK(keeper.state() == LinkState::waiting);
    }
    SECTION("the connection is lost")
    {
        keeper.connection_lost();
        CHECK(keeper.state() == LinkState::unknown);
    }
}

TEST_CASE("what a link's end says decides what is done about it")
{
    LinkKeeper keeper = make_keeper();
    const auto ended = [&](const char* condition) { return keeper.ended(short_life(begin), {condition, ""}, begin); };
    CHECK(ended("amqp:not-found").recovery == Recovery::fail);
    CHECK(ended("com.microsoft:session-lock-lost").recovery == Recovery::reattach_link);
    CHECK(ended("amqp:connection:forced").recovery == Recovery::reconnect);
    const auto first = ended("amqp:unauthorized-access");
    CHECK(first.renew_tokens);
    CHECK(first.recovery == Recovery::reattach_link);
    CHECK(ended("amqp:unauthorized-access").recovery == Recovery::fail);
    (void)ended("com.microsoft:server-busy");
    CHECK(keeper.not_before() >= begin + 2s);
}
