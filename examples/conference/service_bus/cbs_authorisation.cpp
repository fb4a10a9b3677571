// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "cbs_authorisation.hpp"

#include "sas_token.hpp"

#include <escqrs/error.hpp>

#include <algorithm>
#include <utility>
#include <variant>

namespace service_bus {
namespace {

constexpr const char* node = "$cbs";

std::string resource_uri(const Broker& broker, const std::string& audience)
{
    return "sb://" + broker.host + "/" + audience;
}

SasToken make_token(const AmqpConnectionOptions& options, const std::string& resource, escqrs::Timestamp now)
{
    if (const auto* const key = std::get_if<SharedAccessKey>(&options.broker.credentials))
        return make_sas_token(resource, *key, now, options.token_lifetime);
    if (const auto* const given = std::get_if<SharedAccessSignature>(&options.broker.credentials))
        return {given->token, expiry_of(given->token)};
    throw escqrs::TransportError{"Service Bus needs a shared access key or signature, found none"};
}

} // namespace

CbsAuthorisation::CbsAuthorisation(AmqpConnection& connection, std::function<void()> authorised)
    : connection_{&connection}, authorised_{std::move(authorised)}, link_{connection, node}
{
    for (const std::string& audience : connection.options().audiences)
        schedules_.emplace(audience, TokenSchedule{connection.options().jitter});
    renew();
}

void CbsAuthorisation::renew()
{
    for (const auto& [audience, schedule] : schedules_) put(audience);
}

void CbsAuthorisation::tick()
{
    const escqrs::SteadyTime now = connection_->now();
    link_.tick(now);
    for (const auto& [audience, schedule] : schedules_) {
        if (schedule.is_due(now)) put(audience);
    }
}

void CbsAuthorisation::put(const std::string& audience)
{
    const std::string resource = resource_uri(connection_->options().broker, audience);
    const SasToken token = make_token(connection_->options(), resource, connection_->time_of_day());
    proton::message request;
    request.to(node);
    request.properties().put("operation", std::string{"put-token"});
    request.properties().put("type", std::string{"servicebus.windows.net:sastoken"});
    request.properties().put("name", resource);
    request.body(token.text);
    schedules_.at(audience).sent();
    link_.request(std::move(request), [this, audience, expires_at = connection_->when(token.expires_at)](
                                          const Reply& reply) { answered(audience, expires_at, reply); });
}

void CbsAuthorisation::answered(const std::string& audience, escqrs::SteadyTime expires_at, const Reply& reply)
{
    const escqrs::SteadyTime now = connection_->now();
    TokenSchedule& schedule = schedules_.at(audience);
    if (!reply.is_success()) {
        schedule.refused(now);
        connection_->note_error("token for '" + audience + "' refused: " + to_text(reply.condition));
        // Before the first one there is nothing to lose: the next connection begins with a fresh one.
        if (!is_announced_) connection_->drop("token for '" + audience + "' refused: " + to_text(reply.condition));
        return;
    }
    schedule.accepted(now, expires_at);
    if (is_announced_) return;
    is_announced_ = std::ranges::all_of(schedules_, [now](const auto& each) { return each.second.is_authorised(now); });
    if (is_announced_) authorised_();
}

} // namespace service_bus
