// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "message.hpp"

#include <memory>
#include <stop_token>
#include <string>

namespace conference {

/// No mail can be handed out at the moment, whatever its recipient.
class MailServerUnavailable : public MailError {
public:
    using MailError::MailError;
};

/// Hands mails to the system that delivers them.
/// @par Thread safety  none
class MailTransport {
public:
    MailTransport() = default;
    MailTransport(const MailTransport&) = delete;
    MailTransport& operator=(const MailTransport&) = delete;
    virtual ~MailTransport() = default;

    /// Returns once the mail was taken over. Gives up on `stop`, at once as long as that is sure to do no harm.
    /// @throws MailError, MailRefused, MailServerUnavailable
    virtual void deliver(const Mail& mail, const std::stop_token& stop) = 0;

    /// How long a delivery may take, generously. Whoever takes longer is thought dead, and the mail is sent by another.
    virtual escqrs::Duration time_limit() const noexcept = 0;

    /// Address that mails come from, if the transport was given one; else empty.
    virtual std::string from() const { return {}; }
};

/// Opens `dir:PATH`, `smtp://[user:password@]host[:port][?from=address]` or the same with `smtps://`.
/// @throws MailError if `url` is not one of these, or the folder cannot be used; the text holds no password
std::unique_ptr<MailTransport> open_mail_transport(const std::string& url);

} // namespace conference
