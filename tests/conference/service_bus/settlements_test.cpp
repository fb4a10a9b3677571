// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <service_bus/settlements.hpp>

#include <escqrs/testing/catch2.hpp>

#include <array>
#include <chrono>
#include <list>
#include <span>
#include <string>
#include <vector>

namespace {

using namespace service_bus;
using namespace std::chrono_literals;
using escqrs::SettlementResult;

const escqrs::SteadyTime now{1h};
const Condition detached{"amqp:link:detach-forced", "told by the test"};

/// A machine that holds messages, and what it wants done in words.
class Machine {
public:
    explicit Machine(bool confirms = true) : machine_{confirms} {}

    /// Holds a message; its number is its sequence number and its delivery.
    const escqrs::ReceivedMessage& hold(int number, const std::string& session = {}, bool is_first = true,
                                        bool came_settled = false)
    {
        escqrs::ReceivedMessage message;
        message.lock_token = message.message.message_id = std::to_string(number);
        message.message.session_id = session;
        message.sequence_number = static_cast<std::uint64_t>(number);
        held_.push_back(&machine_.hold(message, LinkId{1}, !session.empty() && session != "none", is_first,
                                       came_settled, delivery(number)));
        return messages_.emplace_back(std::move(message));
    }
    void hold_rejected(int number) { held_.push_back(&machine_.hold_rejected(LinkId{1}, delivery(number), now)); }
    std::string settle(const std::vector<escqrs::Settlement>& settlements)
    {
        call_ = {.results = std::vector(settlements.size(), SettlementResult::lock_lost),
                 .pending = settlements.size()};
        return words(machine_.settle(settlements, call_, now));
    }
    std::string settle(const escqrs::ReceivedMessage& message, const escqrs::Disposition& disposition)
    {
        settlements_ = {{message, disposition}};
        return settle(settlements_);
    }
    std::string defer(const escqrs::ReceivedMessage& message) { return words(machine_.defer(message, call_, now)); }
    std::string release(const escqrs::ReceivedMessage& message)
    {
        return words(machine_.release(std::span{&message, 1}));
    }
    std::string release_all() { return words(machine_.release_all()); }
    std::string answered(std::size_t index, Answer answer = Answer::done)
    {
        return words(machine_.answered(*held_.at(index), answer, {"amqp:internal-error", "no"}));
    }
    std::string link_closed(const Condition& why) { return words(machine_.link_closed(LinkId{1}, why)); }
    std::string lock_over(const LockName& lock) { return words(machine_.lock_over(lock)); }

    Settlements& operator*() { return machine_; }

private:
    /// A pointer that nothing follows.
    pn_delivery_t* delivery(int number)
    {
        return reinterpret_cast<pn_delivery_t*>(&places_.at(static_cast<std::size_t>(number))); // NOLINT
    }
    std::string number_of(const pn_delivery_t* delivery) const
    {
        return std::to_string(reinterpret_cast<const char*>(delivery) - places_.data()); // NOLINT
    }

    std::string word(const Settlements::Ask& it) const
    {
        constexpr std::array words{"complete", "abandon", "dead-letter", "defer", "release"};
        CHECK((it.disposition != nullptr) == (it.outcome < Outcome::defer));
        return std::string{words.at(static_cast<std::size_t>(it.outcome))} + " " + number_of(it.delivery);
    }
    std::string word(const Settlements::Forget& it) const { return "forget " + number_of(it.delivery); }
    std::string word(const Settlements::Decided& it) const
    {
        CHECK(it.call == &call_);
        const std::string result = it.result == SettlementResult::settled ? "settled" : "lost";
        return std::to_string(it.index) + " is " + (it.error.empty() ? result : "unknown: " + it.error);
    }
    static std::string word(const Settlements::GoesBack&) { return "goes back"; }
    static std::string word(const Settlements::Gone& it) { return it.lock_token + " gone"; }

    std::string words(const Settlements::Actions& actions) const
    {
        std::string all;
        for (const auto& action : actions)
            all += std::visit([this](const auto& each) { return this->word(each); }, action) + "; ";
        return all;
    }

    Settlements machine_;
    std::array<char, 10> places_{};
    std::list<escqrs::ReceivedMessage> messages_;
    std::vector<HeldMessage*> held_;
    std::vector<escqrs::Settlement> settlements_;
    SettleCall call_{.results = {}, .pending = 0};
};

} // namespace

TEST_CASE("a message is settled when the broker has confirmed it")
{
    Machine machine;
    const auto& first = machine.hold(1);
    const auto& second = machine.hold(2);
    CHECK(machine.settle({{first, escqrs::Complete{}}, {second, escqrs::DeadLetter{"bad", ""}}}) ==
          "complete 1; dead-letter 2; ");
    CHECK(machine.settle(first, escqrs::Complete{}) == "0 is lost; "); // it is decided already
    CHECK(machine.settle({{second, escqrs::Complete{}}}) == "0 is lost; ");
    SECTION("done") { CHECK(machine.answered(1) == "forget 2; 1 is settled; 2 gone; "); }
    SECTION("too late")
    {
        CHECK(machine.answered(0, Answer::lock_lost) == "forget 1; 0 is lost; 1 gone; ");
        CHECK(first.lock_lost.stop_requested());
        CHECK_FALSE(second.lock_lost.stop_requested());
    }
    SECTION("refused")
    {
        CHECK(machine.answered(0, Answer::refused) == "forget 1; 0 is unknown: amqp:internal-error: no; 1 gone; ");
    }
    SECTION("never")
    {
        CHECK_FALSE((*machine).is_unanswered(now + 29s, 30s));
        CHECK((*machine).is_unanswered(now + 30s, 30s));
    }
}

TEST_CASE("what a caller says of a message must agree with what it was given")
{
    Machine machine;
    escqrs::ReceivedMessage said = machine.hold(1, "s");
    CHECK((*machine).find(said) != nullptr);
    said.sequence_number = 2;
    CHECK((*machine).find(said) == nullptr);
    CHECK(machine.settle(said, escqrs::Complete{}) == "0 is lost; ");
    said.sequence_number = 1;
    said.message.session_id = "t";
    CHECK(machine.release(said).empty());
    said.message.session_id = "s";
    CHECK(machine.defer(said) == "defer 1; ");
    CHECK(machine.answered(0) == "forget 1; 0 is settled; 1 gone; ");
    CHECK(machine.defer(said) == "0 is lost; ");
}

TEST_CASE("a message that goes back takes the later ones of its session with it")
{
    Machine machine;
    const auto& first = machine.hold(1, "s");
    const auto& second = machine.hold(2, "s");
    const auto& third = machine.hold(3, "s");
    const auto& other = machine.hold(4);
    SECTION("abandoned")
    {
        CHECK(machine.settle({{first, escqrs::Complete{}}, {second, escqrs::Abandon{}}, {third, escqrs::Complete{}}}) ==
              "complete 1; abandon 2; goes back; release 3; 3 gone; 2 is lost; ");
        CHECK(machine.answered(1) == "forget 2; 1 is settled; 2 gone; ");
    }
    SECTION("released")
    {
        CHECK(machine.release(second) == "release 2; goes back; release 3; 3 gone; 2 gone; ");
        CHECK((*machine).find(first) != nullptr);
    }
    CHECK(third.lock_lost.stop_requested());
    CHECK_FALSE(first.lock_lost.stop_requested());
    CHECK(machine.settle(other, escqrs::Abandon{}) == "abandon 4; ");
}

TEST_CASE("without confirmations what is asked is final, and deliveries are counted here")
{
    Machine machine{false};
    CHECK(machine.hold(1, "none").delivery_count == 1);
    const auto& again = machine.hold(1, "none");
    CHECK(again.delivery_count == 2);
    CHECK(machine.settle(again, escqrs::Abandon{}) == "release 1; forget 1; goes back; 0 is settled; 1 gone; ");
    const auto& third = machine.hold(1, "none");
    CHECK(third.delivery_count == 3);
    CHECK(machine.settle(third, escqrs::Complete{}) == "complete 1; forget 1; 0 is settled; 1 gone; ");
    CHECK(machine.hold(1, "none", false).delivery_count == 2); // others had it before
}

TEST_CASE("a link that ends takes its messages along")
{
    Machine machine;
    const auto& first = machine.hold(1);
    const auto& second = machine.hold(2);
    machine.settle(first, escqrs::Complete{});
    SECTION("the broker may have done what it was asked")
    {
        CHECK(machine.link_closed(detached) ==
              "0 is unknown: amqp:link:detach-forced: told by the test; 1 gone; 2 gone; ");
    }
    SECTION("it has not, once the lock was lost")
    {
        CHECK(machine.link_closed({"com.microsoft:session-lock-lost", ""}) == "0 is lost; 1 gone; 2 gone; ");
    }
    CHECK(second.lock_lost.stop_requested());
    CHECK(machine.settle(second, escqrs::Complete{}) == "0 is lost; ");
}

TEST_CASE("a message whose lock is over is given up, unless the broker is asked already")
{
    Machine machine;
    const auto& first = machine.hold(1);
    const auto& second = machine.hold(2);
    const auto& of_session = machine.hold(3, "s");
    machine.settle(first, escqrs::Complete{});
    CHECK(machine.lock_over(std::string{"1"}).empty());
    CHECK(first.lock_lost.stop_requested());
    CHECK(machine.answered(0) == "forget 1; 0 is settled; 1 gone; ");
    (*machine).lock_lost(std::string{"2"});
    CHECK(second.lock_lost.stop_requested());
    CHECK(machine.lock_over(std::string{"2"}) == "release 2; forget 2; 2 gone; ");
    CHECK(machine.lock_over(std::string{"2"}).empty());
    CHECK(machine.lock_over(LinkId{2}).empty());
    CHECK_FALSE(of_session.lock_lost.stop_requested());
    CHECK(machine.lock_over(LinkId{1}).empty()); // the broker ends the link when others get the session
    CHECK(of_session.lock_lost.stop_requested());
    CHECK(machine.settle(of_session, escqrs::Complete{}) == "complete 3; ");
}

TEST_CASE("a message that came settled can be completed and nothing else, and the broker is asked nothing")
{
    const bool confirms = GENERATE(true, false);
    Machine machine{confirms};
    const auto& message = machine.hold(1, {}, true, true);
    SECTION("complete") { CHECK(machine.settle(message, escqrs::Complete{}) == "forget 1; 0 is settled; 1 gone; "); }
    SECTION("abandon") { CHECK(machine.settle(message, escqrs::Abandon{}) == "forget 1; 0 is lost; 1 gone; "); }
    SECTION("dead-letter") { CHECK(machine.settle(message, escqrs::DeadLetter{}) == "forget 1; 0 is lost; 1 gone; "); }
    SECTION("defer") { CHECK(machine.defer(message) == "forget 1; 0 is lost; 1 gone; "); }
    SECTION("release") { CHECK(machine.release(message) == "forget 1; 1 gone; "); }
    SECTION("the end") { CHECK(machine.release_all() == "forget 1; "); }
    SECTION("its lock is over") { CHECK(machine.lock_over(LockName{"1"}) == "forget 1; 1 gone; "); }
}

TEST_CASE("what cannot be decoded is held until the broker has dead-lettered it")
{
    Machine machine;
    machine.hold_rejected(1);
    CHECK_FALSE((*machine).is_unanswered(now + 29s, 30s));
    CHECK((*machine).is_unanswered(now + 30s, 30s));
    SECTION("it has") { CHECK(machine.answered(0) == "forget 1; rejected 1 gone; "); }
    SECTION("the link ends before that") { CHECK(machine.link_closed(detached) == "rejected 1 gone; "); }
    SECTION("an earlier message of its session goes back: it stays rejected")
    {
        const auto& earlier = machine.hold(2, "s");
        CHECK(machine.settle(earlier, escqrs::Abandon{}) == "abandon 2; goes back; ");
        CHECK(machine.answered(0) == "forget 1; rejected 1 gone; ");
    }
    SECTION("the receiver ends before that: it stays rejected") { CHECK(machine.release_all() == "forget 1; "); }
}

TEST_CASE("what was not handed out, and what is held at the end, is given back")
{
    Machine machine;
    machine.hold(1, "s");
    const auto& second = machine.hold(2, "s");
    CHECK((*machine).is_held("1"));
    CHECK((*machine).give_back("1").size() == 1);
    CHECK_FALSE((*machine).is_held("1"));
    CHECK((*machine).give_back("1").empty());
    CHECK(machine.release_all() == "release 2; forget 2; ");
    CHECK(machine.settle(second, escqrs::Complete{}) == "0 is lost; ");
}
