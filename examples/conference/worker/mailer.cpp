// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "mailer.hpp"

#include "../application/readable_text.hpp"

#include <escqrs/core/error.hpp>

#include <algorithm>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

namespace conference {

Mailer::Mailer(const read_model::DatabaseRef& read_model, mail::Transport& transport, MailWriter writer,
               MailerOptions options)
    : outbox_{read_model, std::max<escqrs::Duration>(options.longest_delay, transport.time_limit()), options.limits,
              [this](const OwedMail& mail) {
                  options_.on_attempt(MailOutcome::given_up);
                  report(mail, "given up: its turn did not come");
              }},
      transport_{&transport}, writer_{std::move(writer)}, options_{std::move(options)}
{
}

void Mailer::run(std::stop_token stop)
{
    escqrs::Backoff outage{options_.first_delay, options_.longest_outage_delay, options_.jitter};
    while (!stop.stop_requested()) {
        escqrs::Duration wait = options_.poll_interval;
        try {
            send_due(stop);
            outage.reset();
        } catch (...) {
            if (stop.stop_requested()) return;
            wait = outage.next();
            options_.log("mails have to wait: " +
                         readable(escqrs::text_of(std::current_exception()), max_error_length));
        }
        sleep_for(*options_.clock, wait, stop);
    }
}

std::size_t Mailer::send_due(const std::stop_token& stop)
{
    std::size_t sent = 0;
    bool is_unavailable = false; // as the last mail found it
    while (!stop.stop_requested()) {
        const auto owed = outbox_.claim(options_.clock->now(), transport_->time_limit());
        if (!owed) break;
        try {
            if (send(*owed, stop)) ++sent;
            is_unavailable = false;
        } catch (const mail::ServerUnavailable&) {
            if (std::exchange(is_unavailable, true)) throw;
        }
    }
    return sent;
}

/// @throws mail::ServerUnavailable; the mail has been put off
bool Mailer::send(const OwedMail& owed, const std::stop_token& stop)
{
    try {
        transport_->deliver(writer_(owed), stop);
    } catch (const mail::ServerUnavailable& error) {
        failed(owed, error.what(), stop.stop_requested() ? escqrs::Duration{} : delay_after(owed.attempt));
        throw;
    } catch (const mail::Refused& error) {
        give_up(owed, error.what());
        return false;
    } catch (...) {
        failed(owed, escqrs::text_of(std::current_exception()), delay_after(owed.attempt));
        return false;
    }
    options_.on_attempt(MailOutcome::sent);
    mark_sent(owed, stop);
    return true;
}

void Mailer::failed(const OwedMail& owed, std::string_view error, escqrs::Duration delay)
{
    if (owed.attempt >= options_.most_attempts) return give_up(owed, error);
    options_.on_attempt(MailOutcome::failed);
    outbox_.put_off(owed, escqrs::later_by(options_.clock->now(), delay), readable(error, max_error_length));
    report(owed, error);
}

void Mailer::give_up(const OwedMail& owed, std::string_view error)
{
    options_.on_attempt(MailOutcome::given_up);
    outbox_.give_up(owed, options_.clock->now(), readable(error, max_error_length));
    report(owed, std::string{"given up: "}.append(error));
}

void Mailer::report(const OwedMail& owed, std::string_view what)
{
    options_.log("mail of event " + to_string(owed.event_id) + ", attempt " + std::to_string(owed.attempt) + ": " +
                 readable(what, max_error_length));
}

/// Not giving up easily here is what keeps a mail from being sent twice.
void Mailer::mark_sent(const OwedMail& owed, const std::stop_token& stop)
{
    escqrs::Backoff backoff{options_.first_delay, options_.longest_delay, options_.jitter};
    while (true) {
        try {
            outbox_.mark_sent(owed, options_.clock->now());
            return;
        } catch (const escqrs::StoreError& error) {
            options_.log("cannot mark a mail as sent: " + readable(error.what(), max_error_length));
            if (!sleep_for(*options_.clock, backoff.next(), stop)) throw;
        }
    }
}

escqrs::Duration Mailer::delay_after(std::uint32_t attempt)
{
    escqrs::Backoff backoff{options_.first_delay, options_.longest_delay, options_.jitter};
    for (std::uint32_t earlier = 1; earlier < std::min<std::uint32_t>(attempt, 32); ++earlier) backoff.next();
    return backoff.next();
}

} // namespace conference
