// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "mail_outbox.hpp"

#include "../read_model/mailbox.hpp"

#include <algorithm>

namespace conference {
namespace {

const std::string unsent = "sent_at IS NULL AND given_up_at IS NULL";
const std::string due = unsent + " AND (not_before <= $1 OR not_before > $2)";
const std::string last_begun = " AND begun_at > $2 AND event_id <> $3 ORDER BY begun_at DESC LIMIT 1 OFFSET $4";

constexpr int most_held_back = 500; ///< in one transaction, for the worker waits for its end

/// When the limit allows the mail, unless that is now.
std::optional<escqrs::Timestamp> turn(read_model::Statement& begun, const std::string& key, MailLimit limit,
                                      const OwedMail& mail, escqrs::Timestamp now)
{
    const std::string id = to_string(mail.event_id); // for as long as the row is read
    auto row = begun.query(key, now - limit.within, id, limit.mails - 1);
    if (!row.next()) return std::nullopt;
    return row.time(0) + limit.within;
}

} // namespace

MailOutbox::MailOutbox(read_model::DatabaseRef database, escqrs::Duration furthest, MailLimits limits)
    : database_{database}, furthest_{furthest}, limits_{limits},
      is_any_due_{database, "SELECT 1 FROM outgoing_mail WHERE " + due + " LIMIT 1"},
      next_due_{database,
                "SELECT event_id, recipient, attendee_id, confirmation_id, created_at, attempts FROM outgoing_mail"
                " WHERE " +
                    due + " ORDER BY not_before, created_at LIMIT 1"},
      begun_to_mailbox_{database, "SELECT begun_at FROM outgoing_mail WHERE mailbox = $1" + last_begun},
      begun_of_registration_{database, "SELECT begun_at FROM outgoing_mail WHERE attendee_id = $1" + last_begun},
      hold_back_{database, "UPDATE outgoing_mail SET not_before = $1 WHERE event_id = $2"},
      give_up_{database, "UPDATE outgoing_mail SET given_up_at = $1, last_error = $2 WHERE event_id = $3"},
      claim_{database, "UPDATE outgoing_mail SET attempts = $1, not_before = $2, begun_at = $3 WHERE event_id = $4"},
      mark_sent_{database,
                 "UPDATE outgoing_mail SET sent_at = $1, last_error = NULL WHERE event_id = $2 AND sent_at IS NULL"},
      put_off_{database, "UPDATE outgoing_mail SET not_before = $1, last_error = $2"
                         " WHERE event_id = $3 AND attempts = $4 AND sent_at IS NULL"}
{
}

std::optional<OwedMail> MailOutbox::claim(escqrs::Timestamp now, escqrs::Duration lease)
{
    // A look first: most of the time there is nothing, and the worker needs the write lock more.
    if (!is_any_due_.query(now, escqrs::later_by(now, furthest_)).next()) return std::nullopt;
    read_model::Transaction transaction{database_};
    std::optional<OwedMail> mail;
    for (int held_back = 0; held_back < most_held_back; ++held_back) {
        mail = next_due(now); // none if another sender was faster
        if (!mail) break;
        if (may_begin(*mail, now)) {
            claim_.run(mail->attempt, escqrs::later_by(now, lease), now, to_string(mail->event_id));
            break;
        }
        mail.reset();
    }
    transaction.commit();
    return mail;
}

std::optional<OwedMail> MailOutbox::next_due(escqrs::Timestamp now)
{
    auto row = next_due_.query(now, escqrs::later_by(now, furthest_));
    if (!row.next()) return std::nullopt;
    std::optional<ConfirmationId> confirmation;
    if (const auto text = row.text(3); !text.empty()) confirmation = ConfirmationId::parse(text);
    return OwedMail{.event_id = escqrs::EventId::parse(row.text(0)),
                    .recipient = std::string{row.text(1)},
                    .attendee_id = AttendeeId::parse(row.text(2)),
                    .confirmation_id = confirmation,
                    .created_at = row.time(4),
                    .attempt = static_cast<std::uint32_t>(row.integer(5)) + 1};
}

/// If it may not, it is not due any more.
bool MailOutbox::may_begin(const OwedMail& mail, escqrs::Timestamp now)
{
    auto turn_at = turn(begun_to_mailbox_, mailbox_of(mail.recipient), limits_.to_mailbox, mail, now);
    if (!turn_at) {
        turn_at = turn(begun_of_registration_, to_string(mail.attendee_id), limits_.of_registration, mail, now);
    }
    if (!turn_at) return true;
    if (escqrs::later_by(mail.created_at, limits_.longest_wait) <= now) give_up(mail, now, "its turn did not come");
    else hold_back_.run(std::min(*turn_at, escqrs::later_by(now, furthest_)), to_string(mail.event_id));
    return false;
}

void MailOutbox::mark_sent(const OwedMail& mail, escqrs::Timestamp now)
{
    mark_sent_.run(now, to_string(mail.event_id));
}

void MailOutbox::put_off(const OwedMail& mail, escqrs::Timestamp when, std::string_view error)
{
    put_off_.run(when, error, to_string(mail.event_id), mail.attempt);
}

void MailOutbox::give_up(const OwedMail& mail, escqrs::Timestamp now, std::string_view error)
{
    give_up_.run(now, error, to_string(mail.event_id));
}

} // namespace conference
