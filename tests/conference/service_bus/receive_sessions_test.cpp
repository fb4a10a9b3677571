// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "receive_calls_machine.hpp"

#include <escqrs/testing/catch2.hpp>

#include <algorithm>
#include <cstddef>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

using namespace receive_calls_test;

TEST_CASE("a session's late message is offered to a call that waits when the earlier one is settled")
{
    Machine machine = with_sessions();
    CHECK(hand_out_one(machine, "s") == "accept 1; grant 1: 8; drain 1; hand out 1: a; ");
    CHECK(machine.begin(2, 10) == "accept 2; ");
    CHECK(machine.arrived(1, "b", 6).empty());
    CHECK(machine.pass(1min).empty()); // it must not be handled next to the first
    CHECK(machine.gone(1, "a").empty());
    CHECK(machine.pass(5ms) == "hand out 2: b; ");
    CHECK(machine.gone(1, "b") == "detach 1; ");
}

TEST_CASE("what no call asks for goes back after a second")
{
    SECTION("of a queue without sessions, with its link if the broker may still send")
    {
        Machine machine = without_sessions();
        machine.begin(1, 2);
        machine.opened(1);
        machine.arrived(1, "a", 1);
        CHECK(machine.pass(5ms) == "hand out 1: a; ");
        CHECK(machine.arrived(1, "b", 0).empty());
        CHECK(machine.pass(999ms).empty());
        CHECK(machine.tick().empty());
        CHECK(machine.pass(1ms).empty());
        CHECK(machine.tick() == "give back b; ");
    }
    SECTION("of a session, once nothing else of it is in hand, and the session with it")
    {
        Machine machine = with_sessions();
        hand_out_one(machine, "s");
        CHECK(machine.arrived(1, "b", 6).empty());
        CHECK(machine.pass(1s).empty());
        CHECK(machine.tick().empty());
        CHECK(machine.arrived(1, "c", 5).empty());
        CHECK(machine.gone(1, "a").empty());
        CHECK(machine.tick() == "give back b; give back c; detach 1; ");
    }
}

TEST_CASE("a session that was just accepted is kept while its first message is on its way")
{
    Machine machine = with_sessions();
    CHECK(machine.begin(1, 100) == "accept 1; ");
    CHECK(machine.opened(1, "s") == "grant 1: 13; accept 2; accept 3; ");
    CHECK(machine.arrived(1, "a", 12) == "drain 1; ");
    CHECK(machine.pass(4ms).empty());
    CHECK(machine.opened(2, "t") == "grant 2: 13; accept 4; accept 5; ");
    CHECK(machine.pass(5ms) == "drain 2; hand out 1: a; ");
    SECTION("it is for the next call")
    {
        CHECK(machine.arrived(2, "b", 12).empty());
        CHECK(machine.begin(2, 1) == "hand out 2: b; ");
        CHECK(machine.gone(2, "b") == "detach 2; ");
    }
    SECTION("it does not come: the session is given free")
    {
        CHECK(machine.pass(199ms).empty());
        CHECK(machine.tick().empty());
        CHECK(machine.pass(1ms).empty());
        CHECK(machine.tick() == "detach 2; ");
    }
    SECTION("the broker says that there is none") { CHECK(machine.flowed(2, 0) == "end drain 2; detach 2; "); }
}

TEST_CASE("a session is given free when all of it is settled, and others are accepted meanwhile")
{
    Machine machine = with_sessions();
    CHECK(hand_out_one(machine, "s") == "accept 1; grant 1: 8; drain 1; hand out 1: a; ");
    CHECK(machine.begin(2, 8) == "accept 2; ");
    CHECK(machine.gone(1, "a") == "detach 1; ");
}

TEST_CASE("when a message of a session has gone back, its later messages go back, too")
{
    Machine machine = with_sessions();
    hand_out_one(machine, "s");
    machine.goes_back(1);
    CHECK(machine.arrived(1, "b", 6) == "give back b; ");
    CHECK(machine.gone(1, "a") == "detach 1; ");
}

TEST_CASE("a call that listens at the default session continues to accept others")
{
    Machine machine = with_sessions();
    CHECK(hand_out_one(machine, "-") == "accept 1; grant 1: 8; accept 2; drain 1; hand out 1: a; ");
    CHECK(machine.begin(2, 8) == "end drain 1; grant 1: 1; ");
    CHECK(machine.pass(30s).empty());
    CHECK(machine.closed(2, no_session) == "accept 3; ");
    SECTION("another session's message")
    {
        CHECK(machine.opened(3, "s") == "drain 1; grant 3: 8; ");
        CHECK(machine.arrived(3, "b", 7) == "drain 3; ");
        CHECK(machine.pass(5ms) == "hand out 2: b; ");
    }
    SECTION("a message without a session")
    {
        CHECK(machine.arrived(1, "b", 7) == "drain 1; ");
        CHECK(machine.pass(5ms) == "hand out 2: b; ");
    }
}

TEST_CASE("an accept that no call waits for any more serves the next one")
{
    Machine machine = with_sessions();
    CHECK(machine.begin(1, 8, 10s) == "accept 1; ");
    CHECK(machine.pass(10s).empty());
    CHECK(machine.end(1) == "hand out 1:; ");
    CHECK(machine.link_state() == LinkState::waiting);
    SECTION("") { CHECK(machine.begin(2, 8).empty()); }
    SECTION("so does its session, within a second")
    {
        CHECK(machine.opened(1, "s").empty());
        CHECK(machine.pass(999ms).empty());
        CHECK(machine.tick().empty());
        CHECK(machine.begin(2, 8) == "grant 1: 8; ");
        CHECK(machine.arrived(1, "a", 7) == "drain 1; ");
    }
    SECTION("or a call that waits already")
    {
        CHECK(machine.begin(2, 8).empty());
        CHECK(machine.begin(3, 8) == "accept 2; ");
        CHECK(machine.end(2).find("hand out 2:; ") != std::string::npos);
        CHECK(machine.opened(1, "s") == "grant 1: 8; ");
        CHECK(machine.arrived(1, "a", 7) == "drain 1; ");
        CHECK(machine.pass(5ms) == "hand out 3: a; ");
    }
    SECTION("after a second the session is given free")
    {
        CHECK(machine.opened(1, "s").empty());
        CHECK(machine.pass(1s).empty());
        CHECK(machine.tick() == "detach 1; ");
        CHECK(machine.begin(2, 8) == "accept 2; ");
    }
    SECTION("or the accept is ended")
    {
        CHECK(machine.pass(999ms).empty());
        CHECK(machine.tick().empty());
        CHECK(machine.pass(1ms).empty());
        CHECK(machine.tick() == "detach 1; ");
    }
    SECTION("a session that is lost meanwhile says nothing of links")
    {
        for (int time = 0; time < 3; ++time) {
            const int id = time + 1;
            CHECK(machine.opened(id, "s").empty());
            CHECK(machine.closed(id, {"com.microsoft:session-lock-lost", ""}) ==
                  "report: com.microsoft:session-lock-lost; ");
            CHECK(machine.begin(id + 1, 8, 10s) == "accept " + std::to_string(id + 1) + "; ");
            CHECK(machine.pass(10s).empty());
            CHECK(machine.end(id + 1).find("hand out") != std::string::npos);
        }
        CHECK(machine.link_state() == LinkState::working);
    }
}

TEST_CASE("a session that came too late for its call is asked before the default session is")
{
    Machine machine = with_sessions();
    hand_out_one(machine, "-");
    CHECK(machine.opened(2, "s").empty());
    CHECK(machine.begin(2, 8) == "grant 2: 8; ");
    CHECK(machine.arrived(2, "b", 7) == "drain 2; ");
    CHECK(machine.pass(5ms) == "hand out 2: b; ");
}

TEST_CASE("what came too late for its call is handed out by the next one, though that has other sessions to ask")
{
    Machine machine = with_sessions();
    CHECK(machine.begin(1, 16) == "accept 1; ");
    CHECK(machine.opened(1, "s") == "grant 1: 8; accept 2; accept 3; ");
    CHECK(machine.opened(2, "t") == "grant 2: 8; ");
    CHECK(machine.arrived(1, "a", 7) == "drain 1; ");
    CHECK(machine.pass(5ms) == "drain 2; hand out 1: a; ");
    CHECK(machine.opened(3, "u").empty());
    CHECK(machine.arrived(2, "b", 7).empty());
    CHECK(machine.begin(2, 16) == "grant 3: 8; accept 4; accept 5; ");
    CHECK(machine.pass(5ms) == "drain 3; hand out 2: b; ");
}

TEST_CASE("however many sessions there are, a receiver holds no more at once than it may")
{
    Machine machine = with_sessions();
    std::set<int> held;    // links that were asked for, and are not detached
    std::set<int> accepts; // not answered yet
    std::set<int> asked;   // for a message that has not come
    const auto see = [&](const std::string& actions) {
        std::istringstream words{actions};
        for (std::string word; words >> word;) {
            int link = 0;
            if (word != "accept" && word != "detach" && word != "grant") continue;
            words >> link;
            if (word == "grant") asked.insert(link);
            if (word == "accept") held.insert(link);
            if (word == "accept") accepts.insert(link);
            if (word != "detach") continue;
            held.erase(link);
            accepts.erase(link);
        }
    };
    std::size_t most_unused = 0;
    std::size_t received = 0;
    for (int call = 1; call <= 20; ++call) {
        see(machine.begin(call, 100));
        std::vector<int> in_hand;
        while (!accepts.empty() || !asked.empty()) {
            for (const int link : std::exchange(accepts, {})) see(machine.opened(link, std::to_string(link)));
            for (const int link : std::exchange(asked, {})) {
                in_hand.push_back(link);
                see(machine.arrived(link, std::to_string(link), 12));
                see(machine.flowed(link, 0));
            }
            most_unused = std::max(most_unused, held.size() - in_hand.size());
        }
        see(machine.pass(5ms));
        for (const int link : in_hand) see(machine.gone(link, std::to_string(link)));
        received += in_hand.size();
    }
    CHECK(received == 20 * 100);
    CHECK(most_unused <= 32);
}

TEST_CASE("a session of which a call has no share to ask waits until another one has less")
{
    Machine machine = with_sessions();
    CHECK(machine.begin(1, 10) == "accept 1; ");
    CHECK(machine.opened(1, "s") == "grant 1: 8; accept 2; accept 3; ");
    CHECK(machine.opened(2, "t") == "grant 2: 2; ");
    CHECK(machine.opened(3, "u").empty());
    SECTION("and is asked then")
    {
        CHECK(machine.arrived(1, "a", 7) == "drain 1; ");
        CHECK(machine.flowed(1, 0) == "end drain 1; accept 4; accept 5; grant 3: 7; ");
    }
    SECTION("or by the next call")
    {
        CHECK(machine.arrived(2, "b", 1) == "drain 2; ");
        CHECK(machine.pass(5ms) == "drain 1; hand out 1: b; ");
        CHECK(machine.begin(2, 10) == "grant 3: 8; accept 4; accept 5; ");
    }
}

TEST_CASE("a receiver has a link that works only while the broker has given it a session")
{
    Machine machine = with_sessions();
    CHECK(machine.link_state() == LinkState::unknown);
    CHECK(machine.begin(1, 100, 10s) == "accept 1; ");
    SECTION("it gives one; meanwhile there is no other")
    {
        CHECK(machine.opened(1, "s") == "grant 1: 13; accept 2; accept 3; ");
        CHECK(machine.link_state() == LinkState::working);
        CHECK(machine.closed(2, no_session).empty());
        CHECK(machine.link_state() == LinkState::working);
        CHECK(machine.aborted(1, 12) == "drain 1; ");
        CHECK(machine.flowed(1, 0) == "end drain 1; detach 1; ");
        CHECK(machine.closed(3, no_session).empty());
        CHECK(machine.link_state() == LinkState::waiting);
    }
    SECTION("it says that there is none")
    {
        CHECK(machine.pass(10s).empty());
        CHECK(machine.closed(1, no_session) == "accept 2; ");
        CHECK(machine.link_state() == LinkState::waiting);
    }
    SECTION("it never answers")
    {
        CHECK(machine.pass(10s).empty());
        CHECK(machine.end(1) == "hand out 1:; ");
        CHECK(machine.link_state() == LinkState::waiting);
        CHECK(machine.pass(30s).empty());
        CHECK_THAT(machine.tick(), Catch::Matchers::Contains("report: the broker does not answer the attach"));
        CHECK(machine.link_state() == LinkState::failing);
    }
    SECTION("it refuses")
    {
        CHECK(machine.closed(1, {"amqp:internal-error", ""}) == "report: amqp:internal-error; ");
        CHECK(machine.link_state() == LinkState::failing);
    }
}

TEST_CASE("a delivery of no use leaves its share to others")
{
    Machine machine = with_sessions();
    machine.begin(1, 8);
    machine.opened(1, "s");
    CHECK(machine.aborted(1, 7) == "drain 1; ");
    CHECK(machine.flowed(1, 0) == "end drain 1; accept 2; accept 3; detach 1; ");
    CHECK(machine.opened(2, "t") == "grant 2: 8; ");
}

TEST_CASE("a session is kept until the broker has dead-lettered what cannot be decoded")
{
    Machine machine = with_sessions();
    machine.begin(1, 8);
    machine.opened(1, "s");
    SECTION("which its call has received")
    {
        CHECK(machine.arrived_undecodable(1, 7) == "drain 1; ");
        CHECK(machine.flowed(1, 0) == "end drain 1; accept 2; accept 3; ");
        CHECK(machine.opened(2, "t") == "grant 2: 8; ");
        CHECK(machine.gone(1, "rejected 1") == "detach 1; ");
    }
    SECTION("which came late; a later message waits for it, too")
    {
        CHECK(machine.arrived(1, "a", 7) == "drain 1; ");
        CHECK(machine.pass(5ms) == "hand out 1: a; ");
        CHECK(machine.arrived_undecodable(1, 6).empty());
        CHECK(machine.gone(1, "a").empty());
        CHECK(machine.arrived(1, "b", 5).empty());
        CHECK(machine.begin(2, 8) == "accept 2; ");
        CHECK(machine.gone(1, "rejected 1").empty());
        CHECK(machine.pass(5ms) == "hand out 2: b; ");
        CHECK(machine.gone(1, "b") == "detach 1; ");
    }
    SECTION("without a call, with its credit still open")
    {
        CHECK(machine.end(1) == "drain 1; ");
        CHECK(machine.arrived_undecodable(1, 7).empty());
        CHECK(machine.pass(200ms) == "hand out 1:; ");
        CHECK(machine.tick().empty());
        CHECK(machine.gone(1, "rejected 1") == "detach 1; ");
    }
}

TEST_CASE("messages of a link that is lost, and those that are gone, are not handed out")
{
    Machine machine = with_sessions();
    machine.begin(1, 100);
    machine.opened(1, "s");
    machine.opened(2, "t");
    machine.arrived(1, "a", 12);
    machine.arrived(2, "b", 12);
    machine.arrived(2, "c", 11);
    CHECK(machine.closed(1, {"amqp:link:detach-forced", ""}) == "report: amqp:link:detach-forced; ");
    CHECK(machine.gone(2, "b").empty());
    CHECK_THAT(machine.pass(5ms), Catch::Matchers::Contains("hand out 1: c; "));
}

TEST_CASE("of one session there is one link, which is kept from call to call")
{
    Machine machine{{.has_sessions = true, .max_sessions = 1, .is_one_session = true}};
    CHECK(machine.begin(1, 100) == "accept 1; ");
    CHECK(machine.opened(1, "s") == "grant 1: 100; ");
    CHECK(machine.arrived(1, "a", 99) == "drain 1; ");
    CHECK(machine.pass(5ms) == "hand out 1: a; ");
    SECTION("until the message is settled there is nothing for the next one")
    {
        CHECK(machine.flowed(1, 0) == "end drain 1; ");
        CHECK(machine.begin(2, 10).empty());
        CHECK(machine.gone(1, "a") == "grant 1: 10; ");
        CHECK(machine.arrived(1, "b", 9) == "drain 1; ");
        CHECK(machine.pass(5ms) == "hand out 2: b; ");
    }
    SECTION("it waits, too, while another call has the link")
    {
        CHECK(machine.gone(1, "a").empty());
        CHECK(machine.begin(2, 10) == "end drain 1; ");
        CHECK(machine.begin(3, 10).empty());
        CHECK(machine.end(2) == "drain 1; ");
        CHECK(machine.flowed(1, 0) == "end drain 1; hand out 2:; ");
        CHECK(machine.tick() == "grant 1: 10; ");
    }
    SECTION("its time may be over before that")
    {
        CHECK(machine.begin(2, 10).empty());
        CHECK(machine.end(2) == "hand out 2:; ");
    }
    SECTION("after a message went back it waits until nothing can overtake that")
    {
        machine.goes_back(1);
        CHECK(machine.arrived(1, "b", 98) == "give back b; ");
        CHECK(machine.begin(2, 10).empty());
        CHECK(machine.gone(1, "a").empty());
        CHECK(machine.arrived(1, "c", 97) == "give back c; ");
        CHECK(machine.tick().empty());
        SECTION("as the answer to the drain says")
        {
            CHECK(machine.flowed(1, 0) == "end drain 1; ");
            CHECK(machine.tick() == "grant 1: 10; ");
        }
        SECTION("or until the link is replaced; its session may seem to be held for a moment")
        {
            const Condition locked{"com.microsoft:session-cannot-be-locked", ""};
            CHECK(machine.pass(200ms).empty());
            CHECK(machine.tick() == "detach 1; accept 2; ");
            CHECK(machine.closed(2, locked) == "report: com.microsoft:session-cannot-be-locked; ");
            CHECK(machine.pass(1s) == "accept 3; ");
            CHECK(machine.closed(3, locked) == "report: com.microsoft:session-cannot-be-locked; ");
            CHECK(machine.pass(30s) == "accept 4; ");
            CHECK_THAT(machine.closed(4, locked), Catch::Matchers::Contains("hand out 2: com.microsoft:session"));
        }
    }
    SECTION("it is lost with what is in hand of it")
    {
        CHECK(machine.begin(2, 10).empty());
        CHECK(machine.closed(1, {"com.microsoft:session-lock-lost", ""}) ==
              "report: com.microsoft:session-lock-lost; ");
        CHECK(machine.tick() == "accept 2; ");
    }
}

TEST_CASE("a call fails at once if another receiver holds the one session that it may receive from")
{
    const Condition locked{"com.microsoft:session-cannot-be-locked", "by another"};
    SECTION("the one that was named")
    {
        Machine machine{{.has_sessions = true, .max_sessions = 1, .is_one_session = true}};
        CHECK(machine.begin(1, 8) == "accept 1; ");
        CHECK(machine.closed(1, locked) == "report: com.microsoft:session-cannot-be-locked: by another; "
                                           "hand out 1: com.microsoft:session-cannot-be-locked: by another; ");
        CHECK(machine.link_state() == LinkState::failing);
        CHECK(machine.begin(2, 8).empty());
        CHECK(machine.pass(1s) == "accept 2; "); // it may be free again
    }
    SECTION("else there may be others")
    {
        Machine machine = with_sessions();
        machine.begin(1, 8);
        CHECK(machine.closed(1, locked) == "report: com.microsoft:session-cannot-be-locked: by another; ");
        CHECK(machine.pass(1s) == "accept 2; ");
    }
}
