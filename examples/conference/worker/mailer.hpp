// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../mail/transport.hpp"
#include "mail_outbox.hpp"
#include "mail_writer.hpp"
#include "worker_log.hpp"

#include <escqrs/core/backoff.hpp>
#include <escqrs/core/clock.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string_view>

namespace conference {

/// What became of an attempt at a mail.
enum class MailOutcome : std::uint8_t {
    sent,
    failed,   ///< it is tried again
    given_up, ///< it is not: it was refused for good, or has failed or waited for its turn for too long
};

struct MailerOptions {
    escqrs::Duration poll_interval = std::chrono::milliseconds{50};
    escqrs::Duration first_delay = std::chrono::seconds{1}; ///< of a mail after a failure; doubled each time
    escqrs::Duration longest_delay = std::chrono::minutes{5};
    escqrs::Duration longest_outage_delay = std::chrono::seconds{10}; ///< between looks whether the server is back
    std::uint32_t most_attempts = 1200; ///< at a mail: four days of them, as RFC 5321, section 4.5.4.1 has it
    MailLimits limits;
    escqrs::Clock* clock = &escqrs::system_clock();
    escqrs::Jitter jitter = escqrs::random_jitter;
    WorkerLog log = [](std::string_view) {};
    std::function<void(MailOutcome)> on_attempt = [](MailOutcome) {}; ///< called after each attempt at a mail
};

/// Sends the mails that the read model owes. Each is tried, less and less often, until it was taken over, was refused
/// for good, or has failed for days.
///
/// A mail is marked as sent after the transport took it. Dying in between sends it once more; a `mail::Folder` knows it
/// again, SMTP cannot. Any number of mailers, in any number of processes, may share the read model.
/// @par Thread safety  none; `run` it in its own thread
class Mailer {
public:
    /// @param read_model  a connection of this thread's own; must outlive the mailer, as `transport`
    Mailer(const read_model::DatabaseRef& read_model, mail::Transport& transport, MailWriter writer,
           MailerOptions options = {});
    Mailer(const Mailer&) = delete;
    Mailer& operator=(const Mailer&) = delete;

    /// Sends what is due. A mail that fails is put off, longer each time, and the others are sent.
    /// @return how many were taken over
    /// @throws StoreError
    /// @throws mail::ServerUnavailable if two mails in a row meet an unavailable server: the fault is not one mail's
    ///         then
    std::size_t send_due(const std::stop_token& stop = {});

    /// Sends until stopped. Reports failures to the log and continues.
    void run(std::stop_token stop);

private:
    bool send(const OwedMail& owed, const std::stop_token& stop);
    void failed(const OwedMail& owed, std::string_view error, escqrs::Duration delay);
    void give_up(const OwedMail& owed, std::string_view error);
    void report(const OwedMail& owed, std::string_view what);
    void mark_sent(const OwedMail& owed, const std::stop_token& stop);
    escqrs::Duration delay_after(std::uint32_t attempt);

    MailOutbox outbox_;
    mail::Transport* transport_;
    MailWriter writer_;
    MailerOptions options_;
};

} // namespace conference
