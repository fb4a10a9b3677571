// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "receive_calls.hpp"

#include <utility>

namespace service_bus {
namespace {

using escqrs::SteadyTime;

} // namespace

ReceiveCalls::ReceiveCalls(Options options, LinkKeeper keeper)
    : options_{std::move(options)}, keeper_{std::move(keeper)},
      links_{options_.default_session, options_.is_one_session, actions_}
{
}

ReceiveActions ReceiveCalls::begin(CallId id, std::size_t at_most, SteadyTime deadline, SteadyTime now)
{
    const Call call{.id = id, .at_most = at_most, .share = CreditShare{at_most}, .deadline = deadline};
    check(calls_.emplace(id, call).first->second, now);
    return take_actions();
}

ReceiveActions ReceiveCalls::end(CallId id, SteadyTime now)
{
    if (Call* const call = find(id)) {
        conclude(*call, now);
        check(*call, now);
    }
    return take_actions();
}

ReceiveActions ReceiveCalls::connected(SteadyTime now)
{
    is_connected_ = true;
    for_each_call([&](Call& call) { check(call, now); });
    return take_actions();
}

void ReceiveCalls::connection_lost() noexcept
{
    is_connected_ = false;
    keeper_.connection_lost();
}

ReceiveActions ReceiveCalls::link_opened(LinkId id, std::string session, SteadyTime now)
{
    Link* const link = links_.find(id);
    if (link == nullptr) return {};
    link->life.attached_at = now;
    link->session = std::move(session);
    links_.last_let_go.reset();
    keeper_.attached();
    Call* const call = find(link->call);
    if (link->has_session()) {
        ReceiveLinks::release(*link, now); // to the call that has asked for it first
        if (call != nullptr) check(*call, now);
        for_each_call([&](Call& each) { check(each, now); });
    } else if (call != nullptr) {
        ask(*link, *call, now);
    }
    return take_actions();
}

ReceiveActions ReceiveCalls::link_closed(LinkId id, const Condition& why, bool is_connected, SteadyTime now)
{
    is_connected_ = is_connected;
    if (links_.find(id) != nullptr) end_link(id, why, now);
    return take_actions();
}

ReceiveActions ReceiveCalls::message_arrived(LinkId id, std::optional<ReceivedMessage> message, std::size_t outstanding,
                                             SteadyTime now)
{
    Link* const link = links_.find(id);
    if (link == nullptr) return {};
    count_arrival(*link, outstanding);
    if (message && link->is_ending) {
        actions_.emplace_back(GiveBack{message->lock_token});
        links_.close_if_unused(*link, now);
        return take_actions();
    }
    ++link->in_hand;
    const bool is_useless = !message;
    if (message) links_.unclaimed.add({*std::move(message), id, now});
    use_arrival(*link, is_useless, outstanding, now);
    return take_actions();
}

ReceiveActions ReceiveCalls::nothing_arrived(LinkId id, std::size_t outstanding, SteadyTime now)
{
    Link* const link = links_.find(id);
    if (link == nullptr) return {};
    count_arrival(*link, outstanding);
    use_arrival(*link, true, outstanding, now);
    return take_actions();
}

ReceiveActions ReceiveCalls::credit_flowed(LinkId id, std::size_t outstanding, SteadyTime now)
{
    Link* const link = links_.find(id);
    if (link != nullptr && links_.is_drained(*link, outstanding)) become_idle(*link, find(link->call), now);
    return take_actions();
}

ReceiveActions ReceiveCalls::message_gone(LinkId id, const std::string& lock_token, SteadyTime now)
{
    const auto is_gone = [&](const ArrivedMessage& message) { return message.received.lock_token == lock_token; };
    links_.unclaimed.erase(lock_token);
    for_each_call([&](Call& call) { std::erase_if(call.messages, is_gone); });
    if (Link* const link = links_.find(id)) {
        --link->in_hand;
        links_.close_if_unused(*link, now);
    }
    offer(now);
    if (options_.is_one_session) for_each_call([&](Call& call) { check(call, now); });
    return take_actions();
}

void ReceiveCalls::message_goes_back(LinkId id) noexcept
{
    if (Link* const link = links_.find(id)) link->is_ending = link->has_session();
}

ReceiveActions ReceiveCalls::time_passed(SteadyTime now)
{
    for_each_call([&](Call& call) {
        if (!call.wakes_at || *call.wakes_at > now) return;
        call.wakes_at.reset();
        check(call, now);
    });
    return take_actions();
}

ReceiveActions ReceiveCalls::tick(SteadyTime now)
{
    if (const auto overdue = links_.find_overdue(keeper_, now)) { // the others may go with it
        actions_.emplace_back(Detach{overdue->first});
        end_link(overdue->first, overdue->second, now);
    }
    if (options_.takes_credit_back) {
        links_.give_back_unclaimed(now);
        links_.end_drained(now);
        links_.end_unasked_sessions(now);
    }
    if (options_.is_one_session) for_each_call([&](Call& call) { check(call, now); }); // its link may be free
    return take_actions();
}

ReceiveActions ReceiveCalls::stop(SteadyTime now)
{
    links_.for_each([&](Link& link) {
        if (link.credit.outstanding() > 0) links_.drain(link, now);
    });
    return take_actions();
}

LinkState ReceiveCalls::link_state() const noexcept
{
    const LinkState state = keeper_.state();
    return state == LinkState::waiting && links_.any_is_open() ? LinkState::working : state;
}

} // namespace service_bus
