// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <service_bus/receive_calls.hpp>

#include <escqrs/testing/catch2.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <utility>

namespace {

using namespace service_bus;
using namespace std::chrono_literals;

const Condition no_session{"com.microsoft:timeout", ""};

std::string text(LinkId link) { return std::to_string(static_cast<int>(link)); }

/// Actions in words; moments to wake up at are left out.
struct Words {
    std::string operator()(const Attach& it) const { return (it.session_wait ? "accept " : "attach ") + text(it.link); }
    std::string operator()(const Detach& it) const { return "detach " + text(it.link); }
    std::string operator()(const Grant& it) const
    {
        return "grant " + text(it.link) + ": " + std::to_string(it.credit);
    }
    std::string operator()(const SetDrain& it) const { return (it.on ? "drain " : "end drain ") + text(it.link); }
    std::string operator()(const GiveBack& it) const { return "give back " + it.lock_token; }
    std::string operator()(const HandOut& it) const
    {
        std::string words = "hand out " + std::to_string(static_cast<int>(it.call)) + ":";
        for (const auto& message : it.messages) words += " " + message.lock_token;
        return words + (it.error.empty() ? "" : " " + it.error);
    }
    std::string operator()(const WakeAt&) const { return ""; }
    std::string operator()(const RenewTokens&) const { return "renew tokens"; }
    std::string operator()(const Reconnect& it) const { return "reconnect: " + it.why; }
    std::string operator()(const Report& it) const { return "report: " + it.problem; }
};

/// A machine, its time, and what it wants done in words.
class Machine {
public:
    explicit Machine(ReceiveCalls::Options options) : calls_{with_defaults(std::move(options)), make_keeper()}
    {
        (void)calls_.connected(now_);
    }

    std::string begin(int call, std::size_t at_most, escqrs::Duration wait = 1h)
    {
        return words(calls_.begin(CallId(call), at_most, now_ + wait, now_));
    }
    std::string end(int call) { return words(calls_.end(CallId(call), now_)); }
    std::string opened(int link, const std::string& session = {})
    {
        return words(calls_.link_opened(LinkId(link), session, now_));
    }
    std::string closed(int link, const Condition& why, bool is_connected = true)
    {
        return words(calls_.link_closed(LinkId(link), why, is_connected, now_));
    }
    std::string arrived(int link, const std::string& token, std::size_t outstanding)
    {
        escqrs::ReceivedMessage message;
        message.lock_token = token;
        message.sequence_number = ++last_sequence_number_;
        return words(calls_.message_arrived(LinkId(link), message, outstanding, now_));
    }
    std::string arrived_undecodable(int link, std::size_t outstanding)
    {
        return words(calls_.message_arrived(LinkId(link), std::nullopt, outstanding, now_));
    }
    std::string aborted(int link, std::size_t outstanding)
    {
        return words(calls_.nothing_arrived(LinkId(link), outstanding, now_));
    }
    std::string flowed(int link, std::size_t outstanding)
    {
        return words(calls_.credit_flowed(LinkId(link), outstanding, now_));
    }
    std::string gone(int link, const std::string& token)
    {
        return words(calls_.message_gone(LinkId(link), token, now_));
    }
    void goes_back(int link) { calls_.message_goes_back(LinkId(link)); }
    std::string connected() { return words(calls_.connected(now_)); }
    void connection_lost() { calls_.connection_lost(); }
    std::string stop() { return words(calls_.stop(now_)); }
    bool is_quiet() const { return calls_.is_quiet(); }
    LinkState link_state() const { return calls_.link_state(); }

    /// Lets time pass, to the moments that the machine wants to be woken at.
    std::string pass(escqrs::Duration time)
    {
        const auto until = now_ + time;
        std::string all;
        while (wakes_at_ && *wakes_at_ <= until) {
            now_ = std::max(now_, *std::exchange(wakes_at_, std::nullopt));
            all += words(calls_.time_passed(now_));
        }
        now_ = until;
        return all;
    }
    std::string tick() { return words(calls_.tick(now_)); }

private:
    static ReceiveCalls::Options with_defaults(ReceiveCalls::Options options)
    {
        options.default_session = "-";
        options.linger = 5ms;
        return options;
    }
    static LinkKeeper make_keeper()
    {
        return {ReconnectDelay{1s, 60s, [] { return 0.5; }}, 30s};
    }

    std::string words(const ReceiveActions& actions)
    {
        std::string all;
        for (const auto& action : actions) {
            const auto* const wake = std::get_if<WakeAt>(&action);
            if (wake != nullptr) wakes_at_ = std::min(wakes_at_.value_or(wake->moment), wake->moment);
            else all += std::visit(Words{}, action) + "; ";
        }
        return all;
    }

    ReceiveCalls calls_;
    escqrs::SteadyTime now_{1h};
    std::optional<escqrs::SteadyTime> wakes_at_;
    std::uint64_t last_sequence_number_ = 0;
};

Machine without_sessions() { return Machine{{}}; }
Machine with_sessions() { return Machine{{.has_sessions = true}}; }
/// With one session's message handed out to call 1, over link 1, and the drain not answered.
std::string hand_out_one(Machine& machine, const std::string& session)
{
    std::string all = machine.begin(1, 8);
    all += machine.opened(1, session);
    all += machine.arrived(1, "a", 7);
    return all + machine.pass(5ms);
}

} // namespace

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

TEST_CASE("a session's late message is offered to a call that waits when the earlier one is settled")
{
    Machine machine = with_sessions();
    CHECK(hand_out_one(machine, "s") == "accept 1; grant 1: 8; drain 1; hand out 1: a; ");
    CHECK(machine.begin(2, 10) == "accept 2; ");
    CHECK(machine.arrived(1, "b", 6).empty());
    CHECK(machine.pass(1min).empty()); // it must not be handled next to the first
    CHECK(machine.gone(1, "a").empty());
    CHECK(machine.pass(5ms) == "detach 2; hand out 2: b; ");
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
    CHECK(machine.pass(5ms) == "drain 2; detach 3; detach 4; detach 5; hand out 1: a; ");
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

TEST_CASE("after a message of a session went back, what comes of it goes back, too")
{
    Machine machine = with_sessions();
    hand_out_one(machine, "s");
    machine.goes_back(1);
    CHECK(machine.arrived(1, "b", 6) == "give back b; ");
    CHECK(machine.gone(1, "a") == "detach 1; ");
}

TEST_CASE("a call that listens at the default session goes on accepting others")
{
    Machine machine = with_sessions();
    CHECK(hand_out_one(machine, "-") == "accept 1; grant 1: 8; drain 1; hand out 1: a; ");
    CHECK(machine.begin(2, 8) == "end drain 1; grant 1: 1; accept 2; ");
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
        CHECK(machine.pass(5ms) == "detach 3; hand out 2: b; ");
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
    SECTION("the session comes too late")
    {
        CHECK(machine.opened(1, "s") == "detach 1; ");
        CHECK(machine.begin(2, 8) == "accept 2; ");
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
    CHECK(machine.flowed(1, 0) == "end drain 1; detach 1; accept 2; ");
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
        CHECK(machine.flowed(1, 0) == "end drain 1; accept 2; ");
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
        CHECK(machine.pass(5ms) == "detach 2; hand out 2: b; ");
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
