// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "amqp_connection.hpp"
#include "request_link.hpp"
#include "token_fetcher.hpp"
#include "token_schedule.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace service_bus {

/// Puts the tokens of one connection on `$cbs` (claims-based security), before any other link is attached, and again
/// ahead of their expiry. See https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-protocol-guide
/// @par Thread safety  on the connection's thread only
class CbsAuthorisation {
public:
    /// @param tokens      where the tokens come from
    /// @param authorised  called once, when the broker has taken the first token of every audience
    CbsAuthorisation(AmqpConnection& connection, TokenFetcher& tokens, std::function<void()> authorised);

    CbsAuthorisation(const CbsAuthorisation&) = delete;
    CbsAuthorisation& operator=(const CbsAuthorisation&) = delete;

    void tick();

    /// Puts all tokens again now. Links have to wait until the broker has them.
    void renew();

    /// Whether links have to wait for `renew`. `AmqpConnection::resume_links` follows.
    bool is_renewing() const noexcept;

    /// What keeps the first tokens from being put, if the broker has asked for nothing else.
    std::string waits_for() const;

private:
    struct Audience {
        TokenSchedule schedule;
        bool is_put_anyway = true;                    ///< though it may be the one that the broker has
        std::string taken{};                          ///< the token that the broker has
        std::optional<escqrs::SteadyTime> asked_at{}; ///< while the source has not answered
        bool is_renewing = false;                     ///< links wait for it
        bool is_late = false;                         ///< the source, and that was noted
    };

    void ask(const std::string& name);
    void renewed(Audience& audience);
    void fetched(const std::string& name, const std::optional<AccessToken>& token, const std::string& problem);
    void put(const std::string& name, const AccessToken& token);
    void answered(const std::string& name, const AccessToken& token, const Reply& reply);
    void failed(Audience& audience, const std::string& why);

    AmqpConnection* connection_;
    TokenFetcher* tokens_;
    std::function<void()> authorised_;
    RequestLink link_;
    std::map<std::string, Audience> audiences_;
    std::string last_problem_; ///< of renewing
    bool is_announced_ = false;
    std::shared_ptr<CbsAuthorisation*> self_ =
        std::make_shared<CbsAuthorisation*>(this); ///< for answers that come late
};

} // namespace service_bus
