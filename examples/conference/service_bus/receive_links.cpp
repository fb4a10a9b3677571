// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "receive_links.hpp"

#include <algorithm>
#include <iterator>

namespace service_bus {
namespace {

using escqrs::SteadyTime;

/// How long messages, and sessions, that came after the end of their call are kept for the next one.
constexpr std::chrono::seconds patience_with_unclaimed{1};

} // namespace

ReceiveLinks::Link* ReceiveLinks::find(LinkId id)
{
    const auto found = links_.find(id);
    return found == links_.end() ? nullptr : &found->second;
}

std::size_t ReceiveLinks::count_of(CallId call) const
{
    return static_cast<std::size_t>(
        std::ranges::count_if(links_, [&](const auto& entry) { return entry.second.call == call; }));
}

bool ReceiveLinks::any_is_open() const noexcept
{
    return std::ranges::any_of(links_, [](const auto& entry) { return entry.second.is_open(); });
}

std::optional<std::pair<LinkId, Condition>> ReceiveLinks::find_overdue(LinkKeeper& keeper, SteadyTime now)
{
    for (const auto& [id, link] : links_) {
        const auto session_wait = link.session_wait.value_or(escqrs::Duration::zero());
        if (auto why = keeper.overdue(link.life, session_wait, false, now)) return std::pair{id, *std::move(why)};
    }
    return std::nullopt;
}

std::size_t ReceiveLinks::count_asked_of(CallId call) const
{
    return static_cast<std::size_t>(std::ranges::count_if(
        links_, [&](const auto& entry) { return entry.second.call == call && entry.second.was_asked; }));
}

std::size_t ReceiveLinks::count_unasked() const
{
    return static_cast<std::size_t>(
        std::ranges::count_if(links_, [](const auto& entry) { return !entry.second.was_asked; }));
}

void ReceiveLinks::attach(CallId call, std::optional<escqrs::Duration> session_wait, SteadyTime now)
{
    const LinkId id{++last_id_};
    links_.emplace(id, Link{.id = id, .life = {.asked_at = now}, .session_wait = session_wait, .call = call});
    actions_->emplace_back(Attach{id, session_wait});
}

void ReceiveLinks::release(Link& link, SteadyTime now)
{
    link.call.reset();
    link.released_at = now;
}

void ReceiveLinks::detach(const Link& link, SteadyTime now)
{
    last_let_go = now;
    actions_->emplace_back(Detach{link.id});
    take_out(link.id);
}

ReceiveLinks::Link ReceiveLinks::take_out(LinkId id)
{
    unclaimed.erase_all_of(id);
    return std::move(links_.extract(id).mapped());
}

// --- credit ---

void ReceiveLinks::want(Link& link, std::size_t messages)
{
    if (messages > 0) link.was_asked = true;
    if (link.credit.is_draining()) actions_->emplace_back(SetDrain{link.id, false});
    if (const std::size_t credit = link.credit.want(messages)) actions_->emplace_back(Grant{link.id, credit});
}

void ReceiveLinks::drain(Link& link, SteadyTime now)
{
    if (link.credit.drain(now)) actions_->emplace_back(SetDrain{link.id, true});
}

bool ReceiveLinks::is_drained(Link& link, std::size_t outstanding)
{
    if (const std::size_t again = link.credit.flowed(outstanding)) actions_->emplace_back(Grant{link.id, again});
    if (!link.credit.take_drained()) return false;
    actions_->emplace_back(SetDrain{link.id, false});
    return true;
}

bool ReceiveLinks::are_quiet() const noexcept
{
    return std::ranges::all_of(links_, [](const auto& entry) { return entry.second.credit.outstanding() == 0; });
}

void ReceiveLinks::end_drained(SteadyTime now)
{
    for_each([&](const Link& link) {
        if (!link.call && link.in_hand == 0 && link.credit.is_draining_since(now - drain_patience)) detach(link, now);
    });
}

// --- sessions ---

bool ReceiveLinks::is_default_session(const Link& link) const
{
    return link.has_session() && link.is_open() && link.session == default_session_;
}

bool ReceiveLinks::is_for_any_call(const Link& link) const
{
    if (link.is_fresh_session()) return false; // `ask_fresh_sessions` is for them
    return !link.has_session() || !link.is_open() || is_default_session(link) || (keeps_session_ && is_free(link));
}

bool ReceiveLinks::is_free(const Link& link) const
{
    if (link.call || link.is_ending) return false;
    return !link.has_session() || is_default_session(link) || link.in_hand == unclaimed.count_of(link.id);
}

bool ReceiveLinks::has_prospects(CallId call) const
{
    return std::ranges::any_of(
        links_, [&](const auto& entry) { return entry.second.call == call && !is_default_session(entry.second); });
}

void ReceiveLinks::close_if_unused(Link& link, SteadyTime now)
{
    if (!link.has_session() || link.is_fresh_session() || link.call || link.in_hand > 0) return;
    if (keeps_session_) {
        if (link.credit.outstanding() == 0) link.is_ending = false;
        return;
    }
    // The message for which the broker has accepted the session is still on its way.
    const bool waits_for_first =
        !link.life.has_moved && link.credit.is_draining() && !link.credit.is_draining_since(now - drain_patience);
    if (!waits_for_first) detach(link, now);
}

void ReceiveLinks::end_unasked_sessions(SteadyTime now)
{
    for_each([&](const Link& link) {
        if (link.call || !link.has_session() || link.was_asked || (keeps_session_ && link.is_open())) return;
        if (link.released_at <= now - patience_with_unclaimed) detach(link, now);
    });
}

void ReceiveLinks::give_back_unclaimed(SteadyTime now)
{
    if (unclaimed.empty()) return;
    for_each([&](Link& link) {
        const bool goes_whole = link.has_session() || link.credit.outstanding() > 0;
        if (link.call || (goes_whole && link.in_hand != unclaimed.count_of(link.id))) return;
        auto tokens = unclaimed.take_older_than(now - patience_with_unclaimed, link.id);
        if (tokens.empty()) return;
        if (goes_whole) std::ranges::move(unclaimed.take_older_than(now, link.id), std::back_inserter(tokens));
        link.in_hand -= tokens.size();
        for (std::string& token : tokens) actions_->emplace_back(GiveBack{std::move(token)});
        const bool is_kept = keeps_session_ && link.credit.outstanding() == 0;
        if (goes_whole && !is_kept) detach(link, now);
    });
}

} // namespace service_bus
