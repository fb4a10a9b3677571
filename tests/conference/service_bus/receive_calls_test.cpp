// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "receive_calls_machine.hpp"

#include <escqrs/testing/catch2.hpp>

using namespace receive_calls_test;

TEST_CASE("a call asks a link for all it wants, and hands out when nothing more comes")
{
    Machine machine = without_sessions();
    CHECK(machine.begin(1, 10) == "attach 1; ");
    CHECK(machine.opened(1) == "grant 1: 10; ");
    CHECK(machine.pass(1min).empty());
    CHECK(machine.arrived(1, "a", 9) == "drain 1; ");
    CHECK(machine.pass(4ms).empty());
    CHECK(machine.arrived(1, "b", 8).empty());
    CHECK(machine.pass(4ms).empty());
    SECTION("for a little while") { CHECK(machine.pass(1ms) == "hand out 1: a b; "); }
    SECTION("as the broker's answer to the drain says")
    {
        CHECK(machine.flowed(1, 0) == "end drain 1; hand out 1: a b; ");
    }
    SECTION("since it is full")
    {
        for (const char* token : {"c", "d", "e", "f", "g", "h", "i"}) CHECK(machine.arrived(1, token, 1).empty());
        CHECK(machine.arrived(1, "j", 0) == "hand out 1: a b c d e f g h i j; ");
    }
    SECTION("since the caller stops it") { CHECK(machine.end(1) == "hand out 1: a b; "); }
}

TEST_CASE("a call that ends with nothing waits a little for what is on its way")
{
    Machine machine = without_sessions();
    machine.begin(1, 10);
    machine.opened(1);
    CHECK(machine.end(1) == "drain 1; ");
    CHECK(machine.end(1).empty());
    SECTION("and gets it")
    {
        CHECK(machine.arrived(1, "a", 9).empty());
        CHECK(machine.pass(5ms) == "hand out 1: a; ");
    }
    SECTION("until the broker says that there is nothing")
    {
        CHECK(machine.flowed(1, 0) == "end drain 1; hand out 1:; ");
        CHECK(machine.begin(2, 5) == "grant 1: 5; ");
    }
    SECTION("but not for ever")
    {
        CHECK(machine.pass(199ms).empty());
        CHECK(machine.pass(1ms) == "hand out 1:; ");
        CHECK(machine.begin(2, 5) == "end drain 1; "); // the broker may still use the credit of before
        CHECK(machine.flowed(1, 0) == "grant 1: 5; "); // it was taken by the late answer
    }
}

TEST_CASE("what comes late is for the next call, or for one that waits already")
{
    Machine machine = without_sessions();
    machine.begin(1, 10);
    machine.opened(1);
    machine.arrived(1, "a", 9);
    SECTION("the next one")
    {
        CHECK(machine.pass(5ms) == "hand out 1: a; ");
        CHECK(machine.arrived(1, "b", 8).empty());
        CHECK(machine.begin(2, 1) == "hand out 2: b; ");
    }
    SECTION("one that waits, over another link")
    {
        CHECK(machine.begin(2, 10) == "attach 2; ");
        CHECK(machine.opened(2) == "grant 2: 10; ");
        CHECK(machine.pass(5ms) == "hand out 1: a; ");
        CHECK(machine.arrived(1, "b", 8).empty());
        CHECK(machine.pass(5ms) == "drain 2; hand out 2: b; ");
    }
}

TEST_CASE("a call waits for the connection, and for its links when they are lost with it")
{
    Machine machine = without_sessions();
    machine.begin(1, 5);
    machine.opened(1);
    CHECK(machine.closed(1, {"", "connection lost"}, false).empty());
    machine.connection_lost();
    CHECK(machine.begin(2, 5).empty());
    CHECK(machine.connected() == "attach 2; attach 3; ");
    CHECK(machine.end(2) == "hand out 2:; "); // the attach may be answered for another call
    CHECK(machine.opened(2) == "grant 2: 5; ");
}

TEST_CASE("a link that is refused fails its call, or is attached again after a pause")
{
    Machine machine = without_sessions();
    machine.begin(1, 5);
    SECTION("for good")
    {
        CHECK(machine.closed(1, {"amqp:not-found", ""}) == "report: amqp:not-found; hand out 1: amqp:not-found; ");
        CHECK(machine.link_state() == LinkState::failing);
        CHECK(machine.begin(2, 5).empty());
        CHECK(machine.end(2) == "hand out 2: amqp:not-found; "); // the pause is the receiver's, not a call's
    }
    SECTION("for a while")
    {
        CHECK(machine.closed(1, {"amqp:internal-error", ""}) == "report: amqp:internal-error; ");
        CHECK(machine.pass(999ms).empty());
        CHECK(machine.pass(1ms) == "attach 2; ");
    }
    SECTION("for lack of a token")
    {
        CHECK(machine.closed(1, {"amqp:unauthorized-access", ""}) ==
              "report: amqp:unauthorized-access; renew tokens; ");
        CHECK(machine.pass(1min).empty()); // the token may be slow to come
        CHECK(machine.connected() == "attach 2; ");
    }
    SECTION("with the connection")
    {
        CHECK(machine.closed(1, {"amqp:connection:forced", ""}) ==
              "report: amqp:connection:forced; reconnect: amqp:connection:forced; ");
        CHECK(machine.pass(1min).empty());
    }
    SECTION("by its silence")
    {
        machine.pass(30s);
        CHECK_THAT(machine.tick(), Catch::Matchers::Contains("detach 1; report: the broker does not answer"));
        CHECK(machine.pass(1s) == "attach 2; ");
    }
}

TEST_CASE("a link over which nothing comes for long, though it was asked to drain, is replaced")
{
    Machine machine = without_sessions();
    machine.begin(1, 5);
    machine.opened(1);
    machine.end(1);
    CHECK(machine.pass(200ms) == "hand out 1:; ");
    CHECK(machine.begin(2, 5) == "end drain 1; ");
    CHECK(machine.end(2) == "drain 1; ");
    CHECK(machine.pass(30s) == "hand out 2:; ");
    CHECK(machine.begin(3, 5) == "detach 1; attach 2; ");
}

TEST_CASE("credit that is not taken back serves the next calls")
{
    Machine machine{{.takes_credit_back = false, .prefetch = 2}};
    machine.begin(1, 1);
    CHECK(machine.opened(1) == "grant 1: 3; ");
    CHECK(machine.arrived(1, "a", 2) == "hand out 1: a; ");
    CHECK(machine.arrived(1, "b", 1).empty());
    CHECK(machine.pass(1h).empty());
    CHECK(machine.tick().empty());
    CHECK(machine.begin(2, 1) == "grant 1: 1; hand out 2: b; ");
}

TEST_CASE("a receiver that ends takes back its credit")
{
    Machine machine{{.takes_credit_back = false, .prefetch = 2}};
    CHECK(machine.stop().empty());
    CHECK(machine.is_quiet());
    machine.begin(1, 1);
    machine.opened(1);
    CHECK(machine.arrived(1, "a", 2) == "hand out 1: a; ");
    CHECK_FALSE(machine.is_quiet());
    CHECK(machine.stop() == "drain 1; ");
    CHECK_FALSE(machine.is_quiet());
    CHECK(machine.flowed(1, 0) == "end drain 1; ");
    CHECK(machine.is_quiet());
}
