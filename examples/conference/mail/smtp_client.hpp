// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "transport.hpp"

#include <chrono>
#include <memory>
#include <string>

namespace mail {

/// Hands mails to an SMTP server, by libcurl. The connection is kept for the next mail.
///
/// `smtps://` is TLS from the start. `smtp://` uses STARTTLS if the server offers it, and insists on it before it sends
/// a password, unless the server is this machine. Certificates are verified.
///
/// A mail that the server answers with 5xx is refused for good; one answered with 4xx, or a code that SMTP does not have, has
/// failed. One whose answer is longer than 64 KiB is refused, too, unless its code says that it has failed, or is lost in a line so
/// long. What the server says
/// before it has heard of a mail, or about who we are, concerns no mail: then it is unavailable.
///
/// If the connection breaks after the whole mail was sent and before the server's answer came, it is sent again: SMTP
/// can do no better. Both have the same Message-ID, by which many mailboxes drop the second.
class SmtpClient final : public Transport {
public:
    /// @param patience  after a stop request, with the answer to a mail that the server has in whole
    /// @throws Error if `url` is not as `open_transport` describes
    explicit SmtpClient(const std::string& url, std::chrono::milliseconds patience = std::chrono::seconds{8});
    ~SmtpClient() override;

    void deliver(const Message& mail, const std::stop_token& stop) override;
    std::chrono::seconds time_limit() const noexcept override;
    std::string from() const override;

private:
    class Implementation;
    std::unique_ptr<Implementation> implementation_;
};

} // namespace mail
