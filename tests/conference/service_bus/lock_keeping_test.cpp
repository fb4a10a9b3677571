// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <service_bus/lock_keeping.hpp>

#include <escqrs/testing/catch2.hpp>

#include <algorithm>
#include <chrono>
#include <string>

namespace {

using namespace service_bus;
using namespace std::chrono_literals;
using escqrs::Timestamp;

const Timestamp start = std::chrono::sys_days{std::chrono::year{2026} / 1 / 1};

/// A machine, and a broker whose locks last for 30 seconds at first.
class Machine {
public:
    /// @param ahead  of this machine's time of day, that of the broker is
    explicit Machine(escqrs::Duration ahead = 0s, escqrs::Duration max_renewal = 5min)
        : machine_{max_renewal}, ahead_{ahead}
    {
    }

    /// @param age  of the message in the queue
    escqrs::ReceivedMessage take_message(escqrs::Duration age = 0s)
    {
        escqrs::ReceivedMessage message = of_age(age);
        message.locked_until = broker_time() + duration_;
        machine_.took_message(message, now());
        return message;
    }
    void take_session() { machine_.took_session(LinkId{1}, "s", broker_time() + duration_, now()); }
    escqrs::ReceivedMessage take_message_of_session(escqrs::Duration age = 0s)
    {
        escqrs::ReceivedMessage message = of_age(age);
        machine_.took_message_of(LinkId{1}, message, now());
        return message;
    }
    Timestamp renewed(const LockName& lock) { return machine_.renewed(lock, broker_time() + duration_, now()); }
    void not_renewed(const LockName& lock, bool is_lost = false) { machine_.not_renewed(lock, is_lost, now().steady); }

    /// Lets time pass. @return what to do: "r" for a renewal, "o" for a lock that is over
    std::string pass(escqrs::Duration time)
    {
        passed_ += time;
        std::string all;
        for (const auto& action : machine_.tick(now().steady))
            all += std::holds_alternative<LockKeeping::Renew>(action) ? "r" : "o";
        return all;
    }

    void set_duration(escqrs::Duration duration) { duration_ = duration; }
    Moment now() const { return {.steady = escqrs::SteadyTime{1h} + passed_, .time_of_day = start + passed_}; }
    LockKeeping& operator*() { return machine_; }

private:
    Timestamp broker_time() const { return start + passed_ + ahead_; }
    escqrs::ReceivedMessage of_age(escqrs::Duration age) const
    {
        escqrs::ReceivedMessage message;
        message.message.message_id = message.lock_token = "m";
        message.enqueued_at = broker_time() - age;
        return message;
    }

    LockKeeping machine_;
    escqrs::Duration ahead_;
    escqrs::Duration duration_ = 30s;
    escqrs::Duration passed_{};
};

const LockName m = std::string{"m"};
const LockName session = LinkId{1};

} // namespace

TEST_CASE("a message's lock is renewed ten seconds before its end, once at a time")
{
    Machine machine;
    CHECK(machine.take_message(1h).locked_until == start + 30s);
    CHECK(machine.pass(19s).empty());
    CHECK(machine.pass(1s) == "r");
    CHECK(machine.pass(5s).empty());
    CHECK(machine.renewed(m) == start + 55s);
    CHECK(machine.pass(19s).empty());
    CHECK(machine.pass(1s) == "r");
    (*machine).forget(m);
    CHECK(machine.pass(1h).empty());
}

TEST_CASE("locks last as the broker says, also once the queue's lock duration was raised, or lowered")
{
    const escqrs::Duration changed = GENERATE(15s, 2min);
    Machine machine;
    machine.take_session();
    machine.take_message(); // enqueued just now, so it shows how long locks last
    machine.set_duration(changed);
    SECTION("a message") { CHECK(machine.take_message().locked_until == start + changed); }
    SECTION("a session")
    {
        machine.take_session();
        CHECK(machine.take_message_of_session().locked_until == start + changed);
    }
    SECTION("a renewed lock")
    {
        CHECK(machine.renewed(m) == start + changed);
        CHECK(machine.renewed(session) == start + changed);
        CHECK(machine.pass(changed - std::min<escqrs::Duration>(changed / 2, 10s) - 1us).empty());
        CHECK(machine.pass(1us) == "rr");
        machine.not_renewed(m, true);
        machine.not_renewed(session, true);
        CHECK(machine.pass(std::min<escqrs::Duration>(changed / 2, 10s) - 1us).empty());
        CHECK(machine.pass(1us) == "oo");
    }
}

TEST_CASE("a session's lock is renewed for as long as messages of it come")
{
    Machine machine{0s, 45s};
    machine.take_session();
    CHECK(machine.take_message_of_session(1h).locked_until == start + 30s);
    CHECK(machine.pass(20s) == "r");
    machine.renewed(session);
    machine.take_message_of_session();
    CHECK(machine.pass(20s) == "r");
    machine.renewed(session);
    CHECK(machine.pass(20s) == "r");
    machine.renewed(session);
    CHECK(machine.pass(20s).empty()); // the last message came a minute ago
    CHECK(machine.pass(10s) == "o");
    CHECK(machine.pass(10s).empty());
}

TEST_CASE("a lock that could not be renewed is tried again, until it is lost or over")
{
    Machine machine;
    machine.take_message();
    CHECK(machine.pass(20s) == "r");
    machine.not_renewed(m);
    CHECK(machine.pass(4s).empty());
    CHECK(machine.pass(1s) == "r");
    SECTION("over")
    {
        machine.not_renewed(m);
        CHECK(machine.pass(5s) == "o");
        CHECK(machine.pass(1h).empty());
    }
    SECTION("lost")
    {
        machine.not_renewed(m, true);
        CHECK(machine.pass(4s).empty());
        CHECK(machine.pass(1s) == "o");
    }
    SECTION("renewed in the end")
    {
        machine.renewed(m);
        CHECK(machine.pass(19s).empty());
        CHECK(machine.pass(1s) == "r");
    }
}

TEST_CASE("locks are not renewed where that is not wanted")
{
    Machine machine{0s, 0s};
    machine.take_message();
    CHECK(machine.pass(29s).empty());
    CHECK(machine.pass(1s) == "o");
}

TEST_CASE("a clock that is slow by less than a lock may last is noticed, and locks are renewed in time")
{
    Machine machine{2min};
    SECTION("by a message of a session")
    {
        machine.take_session();
        machine.take_message_of_session(1h);
        CHECK_FALSE((*machine).take_clock_problem()); // nothing shows it yet
        machine.take_message_of_session();
        CHECK(machine.pass(20s) == "r");
    }
    SECTION("by a message with its own lock")
    {
        machine.take_message();
        machine.take_message(1h); // which says nothing by itself
        CHECK(machine.pass(20s) == "r");
    }
    const auto problem = (*machine).take_clock_problem();
    REQUIRE(problem);
    CHECK_THAT(*problem, Catch::Matchers::Contains("'m'") && Catch::Matchers::Contains("do the clocks agree?"));
    CHECK_FALSE((*machine).take_clock_problem());
}

TEST_CASE("a clock that is ahead is noticed by a session's lock, too, once until the clocks agree again")
{
    const escqrs::Duration ahead = GENERATE(-10min, 10min);
    Machine machine{ahead};
    machine.take_session();
    machine.take_message_of_session(1h);
    machine.take_session();
    const auto problem = (*machine).take_clock_problem();
    REQUIRE(problem);
    CHECK_THAT(*problem, Catch::Matchers::Contains("session 's'"));
    machine.take_session();
    CHECK_FALSE((*machine).take_clock_problem());
    CHECK(machine.pass(3s) == "r"); // as if it were the shortest lock
}

TEST_CASE("clocks that agree within seconds are no problem")
{
    const escqrs::Duration ahead = GENERATE(-9s, 0s, 9s);
    Machine machine{ahead};
    machine.take_message();
    machine.take_session();
    machine.take_message_of_session();
    CHECK_FALSE((*machine).take_clock_problem());
}
