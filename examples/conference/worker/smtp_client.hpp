// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "mail_transport.hpp"

#include <memory>
#include <string>

namespace conference {

/// Hands mails to an SMTP server, by libcurl. The connection is kept for the next mail.
///
/// `smtps://` is TLS from the start. `smtp://` uses STARTTLS if the server offers it, and insists on it before it sends
/// a password, unless the server is this machine. Certificates are verified.
///
/// If the connection breaks after the whole mail was sent and before the server's answer came, it is sent again: SMTP
/// can do no better. Both have the same Message-ID, by which many mailboxes drop the second.
class SmtpClient final : public MailTransport {
public:
    /// @throws MailError if `url` is not as `open_mail_transport` describes
    explicit SmtpClient(const std::string& url);
    ~SmtpClient() override;

    void deliver(const Mail& mail, const std::stop_token& stop) override;
    escqrs::Duration time_limit() const noexcept override;
    std::string from() const override;

private:
    class Implementation;
    std::unique_ptr<Implementation> implementation_;
};

} // namespace conference
