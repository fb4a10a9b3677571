// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "mail_outbox.hpp"

#include "../read_model/mailbox.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace conference {
namespace {

const std::string unsent = "sent_at IS NULL AND given_up_at IS NULL";
const std::string due = unsent + " AND (not_before <= $1 OR not_before > $2)";
const std::string columns =
    "event_id, recipient, attendee_id, confirmation_id, created_at, attempts, begun_at FROM outgoing_mail AS mail";

/// An attempt that lies further ahead than the limit reaches was written by a clock that has been set back since.
const std::string last_begun =
    " AND begun_at > $2 AND begun_at <= $3 AND event_id <> $4 ORDER BY begun_at DESC LIMIT 1 OFFSET $5";

constexpr int most_held_back = 500; ///< in one transaction, for the worker waits for its end

OwedMail read_mail(const read_model::Rows& row)
{
    std::optional<ConfirmationId> confirmation;
    if (const auto text = row.text(3); !text.empty()) confirmation = ConfirmationId::parse(text);
    return {.event_id = escqrs::EventId::parse(row.text(0)),
            .recipient = std::string{row.text(1)},
            .attendee_id = AttendeeId::parse(row.text(2)),
            .confirmation_id = confirmation,
            .created_at = row.time(4),
            .attempt = static_cast<std::uint32_t>(row.integer(5)) + 1,
            .first_begun = row.is_null(6) ? std::nullopt : std::optional{row.time(6)}};
}

/// When the limit allows the mail, unless that is now.
std::optional<escqrs::Timestamp> turn(read_model::Statement& begun, const std::string& key, MailLimit limit,
                                      const OwedMail& mail, escqrs::Timestamp now)
{
    const std::string id = to_string(mail.event_id); // for as long as the row is read
    auto row = begun.query(key, now - limit.within, escqrs::later_by(now, limit.within), id, limit.mails - 1);
    if (!row.next()) return std::nullopt;
    return row.time(0) + limit.within;
}

} // namespace

MailOutbox::MailOutbox(read_model::DatabaseRef database, escqrs::Duration furthest, MailLimits limits,
                       std::function<void(const OwedMail&)> on_given_up)
    : database_{database}, furthest_{furthest}, limits_{limits}, on_given_up_{std::move(on_given_up)},
      is_any_due_{database, "SELECT 1 FROM outgoing_mail WHERE " + due + " LIMIT 1"},
      next_due_{database, "SELECT " + columns + " WHERE " + due + " ORDER BY not_before, created_at LIMIT 1"},
      fairest_{database, "SELECT " + columns + " WHERE " + due +
                             " AND mailbox = $3 AND attempts = 0 ORDER BY (SELECT count(*) FROM outgoing_mail AS other"
                             " WHERE other.attendee_id = mail.attendee_id AND other.mailbox = mail.mailbox"
                             " AND other.begun_at IS NOT NULL), created_at DESC LIMIT 1"},
      begun_to_mailbox_{database, "SELECT begun_at FROM outgoing_mail WHERE mailbox = $1" + last_begun},
      begun_of_registration_{database, "SELECT begun_at FROM outgoing_mail WHERE attendee_id = $1" + last_begun},
      hold_back_{database, "UPDATE outgoing_mail SET not_before = $1 WHERE event_id = $2"},
      give_up_{database, "UPDATE outgoing_mail SET given_up_at = $1, last_error = $2 WHERE event_id = $3"},
      claim_{database, "UPDATE outgoing_mail SET attempts = $1, not_before = $2, begun_at = $3 WHERE event_id = $4"},
      mark_sent_{database,
                 "UPDATE outgoing_mail SET sent_at = $1, last_error = NULL WHERE event_id = $2 AND sent_at IS NULL"},
      put_off_{database, "UPDATE outgoing_mail SET not_before = $1, last_error = $2, begun_at = $3"
                         " WHERE event_id = $4 AND attempts = $5 AND sent_at IS NULL"}
{
}

std::optional<OwedMail> MailOutbox::claim(escqrs::Timestamp now, escqrs::Duration lease)
{
    // A look first: most of the time there is nothing, and the worker needs the write lock more.
    if (!is_any_due_.query(now, escqrs::later_by(now, furthest_)).next()) return std::nullopt;
    read_model::Transaction transaction{database_};
    std::optional<OwedMail> claimed;
    std::vector<OwedMail> given_up;
    for (int held_back = 0; held_back < most_held_back && !claimed; ++held_back) {
        auto mail = next_due(now);
        if (!mail) break; // another sender was faster
        auto turn = turn_at_mailbox(*mail, now);
        if (!turn) {
            mail = fairest_instead_of(*std::move(mail), now);
            turn = turn_of_registration(*mail, now);
        }
        if (!turn) {
            claim_.run(mail->attempt, escqrs::later_by(now, lease), now, to_string(mail->event_id));
            if (!mail->first_begun) mail->first_begun = now;
            claimed = std::move(mail);
        } else if (!hold_back(*mail, *turn, now)) {
            given_up.push_back(*std::move(mail));
        }
    }
    transaction.commit();
    for (const OwedMail& mail : given_up) on_given_up_(mail);
    return claimed;
}

std::optional<OwedMail> MailOutbox::next_due(escqrs::Timestamp now)
{
    auto row = next_due_.query(now, escqrs::later_by(now, furthest_));
    if (!row.next()) return std::nullopt;
    return read_mail(row);
}

/// Where many wait for the same mailbox, those that ask for most of its mails must not get them all. One that is tried again has
/// had its turn.
OwedMail MailOutbox::fairest_instead_of(OwedMail mail, escqrs::Timestamp now)
{
    if (mail.attempt > 1) return mail;
    const std::string mailbox = mailbox_of(mail.recipient);
    auto row = fairest_.query(now, escqrs::later_by(now, furthest_), mailbox);
    return row.next() ? read_mail(row) : mail;
}

std::optional<escqrs::Timestamp> MailOutbox::turn_at_mailbox(const OwedMail& mail, escqrs::Timestamp now)
{
    return turn(begun_to_mailbox_, mailbox_of(mail.recipient), limits_.to_mailbox, mail, now);
}

std::optional<escqrs::Timestamp> MailOutbox::turn_of_registration(const OwedMail& mail, escqrs::Timestamp now)
{
    return turn(begun_of_registration_, to_string(mail.attendee_id), limits_.of_registration, mail, now);
}

/// @return false if it has been held back for too long, and is given up
bool MailOutbox::hold_back(const OwedMail& mail, escqrs::Timestamp until, escqrs::Timestamp now)
{
    const auto waits_since = std::min(mail.first_begun.value_or(mail.created_at), now);
    if (escqrs::later_by(waits_since, limits_.longest_wait) <= now) {
        give_up(mail, now, "its turn did not come");
        return false;
    }
    hold_back_.run(std::min(until, escqrs::later_by(now, furthest_)), to_string(mail.event_id));
    return true;
}

void MailOutbox::mark_sent(const OwedMail& mail, escqrs::Timestamp now)
{
    mark_sent_.run(now, to_string(mail.event_id));
}

void MailOutbox::put_off(const OwedMail& mail, escqrs::Timestamp when, std::string_view error)
{
    put_off_.run(when, error, mail.first_begun.value_or(mail.created_at), to_string(mail.event_id), mail.attempt);
}

void MailOutbox::give_up(const OwedMail& mail, escqrs::Timestamp now, std::string_view error)
{
    give_up_.run(now, error, to_string(mail.event_id));
}

} // namespace conference
