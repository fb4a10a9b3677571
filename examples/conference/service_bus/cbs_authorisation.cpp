// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "cbs_authorisation.hpp"

#include "shown_text.hpp"

#include <escqrs/core/error.hpp>

#include <algorithm>
#include <utility>

namespace service_bus {
namespace {

constexpr const char* node = "$cbs";
constexpr const char* source_is_silent = "the token source does not answer";

std::string resource_uri(const Broker& broker, const std::string& audience)
{
    return "sb://" + broker.host + "/" + audience;
}

const char* name_of(TokenType type) noexcept
{
    return type == TokenType::jwt ? "jwt" : "servicebus.windows.net:sastoken";
}

} // namespace

CbsAuthorisation::CbsAuthorisation(AmqpConnection& connection, TokenFetcher& tokens, std::function<void()> authorised)
    : connection_{&connection}, tokens_{&tokens}, authorised_{std::move(authorised)}, link_{connection, node}
{
    for (const std::string& audience : connection.options().audiences)
        audiences_.emplace(audience, Audience{TokenSchedule{connection.options().jitter}});
    renew();
}

void CbsAuthorisation::renew()
{
    for (auto& [name, audience] : audiences_) {
        audience.is_put_anyway = true;
        if (!audience.asked_at) ask(name);
        audience.is_renewing = is_announced_ && !audience.is_late;
    }
}

std::string CbsAuthorisation::waits_for() const
{
    const bool waits =
        std::ranges::any_of(audiences_, [](const auto& each) { return each.second.asked_at.has_value(); });
    return waits ? source_is_silent : "no answer from the broker";
}

void CbsAuthorisation::tick()
{
    const escqrs::SteadyTime now = connection_->now();
    link_.tick(now);
    for (auto& [name, audience] : audiences_) {
        if (audience.schedule.is_due(now)) ask(name);
        const escqrs::Duration patience = connection_->options().operation_timeout;
        if (!audience.asked_at || audience.is_late || now < escqrs::later_by(*audience.asked_at, patience)) continue;
        audience.is_late = true;
        connection_->note_error("no token for '" + name + "': " + source_is_silent);
        renewed(audience);
    }
}

void CbsAuthorisation::ask(const std::string& name)
{
    Audience& audience = audiences_.at(name);
    audience.schedule.sent();
    audience.asked_at = connection_->now();
    audience.is_late = false;
    tokens_->ask(resource_uri(connection_->options().broker, name), self_,
                 [connection = connection_, self = std::weak_ptr{self_}, name](std::optional<AccessToken> token,
                                                                               const std::string& problem) {
                     connection->post([self, name, token = std::move(token), problem] {
                         if (const auto alive = self.lock()) (*alive)->fetched(name, token, problem);
                     });
                 });
}

void CbsAuthorisation::fetched(const std::string& name, const std::optional<AccessToken>& token,
                               const std::string& problem)
{
    Audience& audience = audiences_.at(name);
    audience.asked_at.reset();
    if (!token) return failed(audience, "no token for '" + name + "': " + problem);
    if (token->problem != last_problem_) {
        last_problem_ = token->problem;
        if (!last_problem_.empty()) {
            connection_->note_error("token for '" + name + "' is not renewed: " + last_problem_);
            connection_->options().log("service bus: token for '" + name + "' is not renewed: " + last_problem_);
        }
    }
    // A source that has no newer one yet is asked again soon.
    if (token->text == audience.taken && !std::exchange(audience.is_put_anyway, false)) {
        audience.schedule.refused(connection_->now());
        return renewed(audience);
    }
    put(name, *token);
}

void CbsAuthorisation::put(const std::string& name, const AccessToken& token)
{
    proton::message request;
    request.to(node);
    request.properties().put("operation", std::string{"put-token"});
    request.properties().put("type", std::string{name_of(token.type)});
    request.properties().put("name", resource_uri(connection_->options().broker, name));
    request.body(token.text);
    link_.request(std::move(request), [this, name, token](const Reply& reply) { answered(name, token, reply); });
}

void CbsAuthorisation::answered(const std::string& name, const AccessToken& token, const Reply& reply)
{
    Audience& audience = audiences_.at(name);
    if (!reply.is_success()) {
        constexpr int unauthorised = 401; // with any other status the token is not what is wrong
        if (reply.status == unauthorised) tokens_->refused(token.text);
        return failed(audience,
                      "token for '" + name + "' refused: " + shown(to_text(reply.condition), secrets_of(token)));
    }
    audience.taken = token.text;
    audience.is_put_anyway = false;
    const escqrs::SteadyTime now = connection_->now();
    audience.schedule.accepted(now, connection_->when(token.expires_at));
    renewed(audience);
    if (is_announced_) return;
    is_announced_ =
        std::ranges::all_of(audiences_, [now](const auto& each) { return each.second.schedule.is_authorised(now); });
    if (is_announced_) authorised_();
}

void CbsAuthorisation::failed(Audience& audience, const std::string& why)
{
    audience.schedule.refused(connection_->now());
    connection_->note_error(why);
    // Before the first one there is nothing to lose: the next connection begins with a fresh one.
    if (!is_announced_) connection_->drop(why);
    renewed(audience);
}

bool CbsAuthorisation::is_renewing() const noexcept
{
    return std::ranges::any_of(audiences_, [](const auto& each) { return each.second.is_renewing; });
}

/// Nothing more is known to come: the broker has taken or refused the token, or the source is silent.
void CbsAuthorisation::renewed(Audience& audience)
{
    if (std::exchange(audience.is_renewing, false) && !is_renewing()) connection_->resume_links();
}

} // namespace service_bus
