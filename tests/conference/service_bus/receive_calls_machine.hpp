// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <service_bus/receive_calls.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>

/// The machine `ReceiveCalls`, driven by hand.
namespace receive_calls_test {

using namespace service_bus;
using namespace std::chrono_literals;

inline const Condition no_session{"com.microsoft:timeout", ""};

inline std::string text(LinkId link) { return std::to_string(static_cast<int>(link)); }

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
        ReceivedMessage message;
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
        return {reconnect_backoff(1s, 60s, [] { return 0.5; }), 30s};
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

inline Machine without_sessions() { return Machine{{}}; }
inline Machine with_sessions() { return Machine{{.has_sessions = true}}; }
/// With one session's message handed out to call 1, over link 1, and the drain not answered.
inline std::string hand_out_one(Machine& machine, const std::string& session)
{
    std::string all = machine.begin(1, 8);
    all += machine.opened(1, session);
    all += machine.arrived(1, "a", 7);
    return all + machine.pass(5ms);
}

} // namespace receive_calls_test
