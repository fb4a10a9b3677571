// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "backoff.hpp"
#include "confirmation_mail.hpp"
#include "mail_outbox.hpp"
#include "mail_transport.hpp"
#include "worker_log.hpp"

#include <escqrs/clock.hpp>
#include <escqrs/jitter.hpp>

#include <cstddef>
#include <functional>
#include <stop_token>

namespace conference {

struct MailerOptions {
    escqrs::Duration poll_interval = std::chrono::milliseconds{50};
    escqrs::Duration first_delay = std::chrono::seconds{1}; ///< after a failure; doubled each time
    escqrs::Duration longest_delay = std::chrono::minutes{5};
    escqrs::Clock* clock = &escqrs::system_clock();
    escqrs::Jitter jitter = escqrs::random_jitter;
    WorkerLog log = [](std::string_view) {};
    std::function<void(bool taken_over)> on_attempt = [](bool) {}; ///< told of each attempt at a mail
};

/// Sends the mails that the read model owes, each until it has been taken over, however long that takes.
///
/// A mail is marked as sent after the transport took it. Dying in between sends it once more; a `MailFolder` knows it
/// again, SMTP cannot. Any number of mailers, in any number of processes, may share the read model.
/// @par Thread safety  none; `run` it in a thread of its own
class Mailer {
public:
    /// @param read_model  a connection of this thread's own; must outlive the mailer, as `transport`
    Mailer(read_model::DatabaseRef read_model, MailTransport& transport, ConfirmationMailWriter writer,
           MailerOptions options = {});

    /// Sends what is due. A mail that is refused is put off, longer each time, and the others are sent.
    /// @return how many were taken over
    /// @throws StoreError
    /// @throws MailServerUnavailable if none can be sent; the mail in question stays due
    std::size_t send_due(const std::stop_token& stop = {});

    /// Sends until stopped. Reports failures to the log and goes on.
    void run(std::stop_token stop);

private:
    bool send(const OwedMail& owed, const std::stop_token& stop);
    void mark_sent(const OwedMail& owed, const std::stop_token& stop);
    escqrs::Duration delay_after(std::uint32_t attempt);

    MailOutbox outbox_;
    MailTransport* transport_;
    ConfirmationMailWriter writer_;
    MailerOptions options_;
};

} // namespace conference
