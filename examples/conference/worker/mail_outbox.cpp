// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "mail_outbox.hpp"

namespace conference {

MailOutbox::MailOutbox(read_model::DatabaseRef database, escqrs::Duration furthest)
    : database_{database}, furthest_{furthest},
      is_any_due_{database, "SELECT 1 FROM outgoing_mail WHERE sent_at IS NULL AND (not_before <= $1 OR"
                            " not_before > $2) LIMIT 1"},
      claim_{database,
             "UPDATE outgoing_mail SET attempts = attempts + 1, not_before = $1 WHERE event_id ="
             " (SELECT event_id FROM outgoing_mail WHERE sent_at IS NULL AND (not_before <= $2 OR not_before > $3)"
             "  ORDER BY not_before, created_at LIMIT 1)"
             " RETURNING event_id, recipient, attendee_id, confirmation_id, created_at, attempts"},
      mark_sent_{database,
                 "UPDATE outgoing_mail SET sent_at = $1, last_error = NULL WHERE event_id = $2 AND sent_at IS NULL"},
      put_off_{database, "UPDATE outgoing_mail SET not_before = $1, last_error = $2"
                         " WHERE event_id = $3 AND attempts = $4 AND sent_at IS NULL"}
{
}

std::optional<OwedMail> MailOutbox::claim(escqrs::Timestamp now, escqrs::Duration lease)
{
    // A look first: most of the time there is nothing, and the worker needs the write lock more.
    const escqrs::Timestamp too_far = escqrs::later_by(now, furthest_);
    if (!is_any_due_.query(now, too_far).next()) return std::nullopt;
    read_model::Transaction transaction{database_};
    std::optional<OwedMail> mail;
    {
        auto row = claim_.query(escqrs::later_by(now, lease), now, too_far);
        if (!row.next()) return std::nullopt; // another was faster
        mail = OwedMail{.event_id = escqrs::EventId::parse(row.text(0)),
                        .recipient = std::string{row.text(1)},
                        .attendee_id = AttendeeId::parse(row.text(2)),
                        .confirmation_id = ConfirmationId::parse(row.text(3)),
                        .created_at = row.time(4),
                        .attempt = static_cast<std::uint32_t>(row.integer(5))};
        row.next();
    }
    transaction.commit();
    return mail;
}

void MailOutbox::mark_sent(const OwedMail& mail, escqrs::Timestamp now)
{
    mark_sent_.run(now, to_string(mail.event_id));
}

void MailOutbox::put_off(const OwedMail& mail, escqrs::Timestamp when, std::string_view error)
{
    put_off_.run(when, error, to_string(mail.event_id), mail.attempt);
}

} // namespace conference
