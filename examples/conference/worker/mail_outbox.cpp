// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "mail_outbox.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace conference {
namespace {

const std::string unsent = "sent_at IS NULL AND given_up_at IS NULL";
const std::string columns =
    "event_id, recipient, attendee_id, confirmation_id, created_at, attempts, begun_at, mailbox";

/// Mails that are due, those due longest first: at most `limit` of them, whose index gives them in this order. ("not_before <=
/// now OR not_before > furthest" would look at all that are unsent.)
std::string due(const std::string& what, int limit, const std::string& now, const std::string& furthest)
{
    const auto some = [&](const std::string& condition) {
        return "SELECT * FROM (SELECT " + what + " FROM outgoing_mail WHERE " + unsent + " AND not_before " +
               condition + " ORDER BY not_before, created_at LIMIT " + std::to_string(limit) + ")";
    };
    return some("<= " + now) + " AS due UNION ALL " + some("> " + furthest) + " AS ahead LIMIT " +
           std::to_string(limit);
}

/// An attempt that lies further ahead than the limit reaches was written by a clock that has been set back since.
const std::string last_begun =
    " AND begun_at > $2 AND begun_at <= $3 AND event_id <> $4 ORDER BY begun_at DESC LIMIT 1 OFFSET $5";

const std::string no_turn = "its turn did not come";

// In one transaction, for the worker waits for its end.
constexpr int most_steps = 500;
constexpr int most_held_back = 2000;
constexpr int most_at_once = 100; ///< held back by one statement

/// Those of the next due mails that wait for their first turn at the mailbox.
std::string due_at_mailbox(const std::string& now, const std::string& furthest, const std::string& mailbox)
{
    return "event_id IN (SELECT event_id FROM (" + due("event_id, mailbox, attempts", most_at_once, now, furthest) +
           ") AS next WHERE mailbox = " + mailbox + " AND attempts = 0)";
}

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
            .first_begun = row.is_null(6) ? std::nullopt : std::optional{row.time(6)},
            .mailbox = std::string{row.text(7)}};
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

MailOutbox::MailOutbox(const read_model::DatabaseRef& database, escqrs::Duration furthest, MailLimits limits,
                       std::function<void(const OwedMail&)> on_given_up)
    : database_{database}, furthest_{furthest}, limits_{limits}, on_given_up_{std::move(on_given_up)},
      is_any_due_{database, due("event_id", 1, "$1", "$2")}, next_due_{database, due(columns, 1, "$1", "$2")},
      fairest_{database, "SELECT " + columns + " FROM outgoing_mail WHERE " + unsent +
                             " AND attempts = 0 AND mailbox = $1 AND (not_before <= $2 OR not_before > $3)"
                             " ORDER BY earlier, created_at DESC LIMIT 1"},
      begun_to_mailbox_{database, "SELECT begun_at FROM outgoing_mail WHERE mailbox = $1" + last_begun},
      begun_of_registration_{database, "SELECT begun_at FROM outgoing_mail WHERE attendee_id = $1" + last_begun},
      // With the mailbox in the condition SQLite would look at all that wait there.
      count_begun_{database, "UPDATE outgoing_mail SET earlier = earlier + CASE WHEN mailbox = $1 THEN 1 ELSE 0 END"
                             " WHERE attendee_id = $2 AND begun_at IS NULL AND attempts = 0 AND " +
                                 unsent},
      expire_{database, "UPDATE outgoing_mail SET given_up_at = $1, last_error = '" + no_turn +
                            "' WHERE created_at <= $2 AND " + due_at_mailbox("$3", "$4", "$5") + " RETURNING " +
                            columns},
      hold_back_mailbox_{database, "UPDATE outgoing_mail SET not_before = $1 WHERE created_at > $2 AND " +
                                       due_at_mailbox("$3", "$4", "$5")},
      hold_back_{database, "UPDATE outgoing_mail SET not_before = $1 WHERE event_id = $2"},
      give_up_{database, "UPDATE outgoing_mail SET given_up_at = $1, last_error = $2 WHERE event_id = $3"},
      claim_{database, "UPDATE outgoing_mail SET attempts = $1, not_before = $2, begun_at = $3"
                       " WHERE event_id = $4"},
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
    int held_back = 0;
    for (int step = 0; step < most_steps && held_back < most_held_back && !claimed; ++step) {
        auto mail = next_due(now);
        if (!mail) break; // another sender was faster
        auto turn = turn_at_mailbox(*mail, now);
        if (turn && mail->attempt == 1) {
            held_back += hold_back_mailbox(mail->mailbox, *turn, now, given_up);
            continue;
        }
        if (!turn) {
            mail = fairest_instead_of(*std::move(mail), now);
            turn = turn_of_registration(*mail, now);
        }
        if (!turn) {
            begin(*mail, now, lease);
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

void MailOutbox::begin(OwedMail& mail, escqrs::Timestamp now, escqrs::Duration lease)
{
    claim_.run(mail.attempt, escqrs::later_by(now, lease), now, to_string(mail.event_id));
    if (mail.attempt == 1) count_begun_.run(mail.mailbox, to_string(mail.attendee_id));
    if (!mail.first_begun) mail.first_begun = now;
}

/// Where many wait for the same mailbox, those that ask for most of its mails must not get them all. One that is tried again has
/// had its turn.
OwedMail MailOutbox::fairest_instead_of(OwedMail mail, escqrs::Timestamp now)
{
    if (mail.attempt > 1) return mail;
    const std::string mailbox = mail.mailbox; // for as long as the row is read
    auto row = fairest_.query(mailbox, now, escqrs::later_by(now, furthest_));
    return row.next() ? read_mail(row) : mail;
}

std::optional<escqrs::Timestamp> MailOutbox::turn_at_mailbox(const OwedMail& mail, escqrs::Timestamp now)
{
    return turn(begun_to_mailbox_, mail.mailbox, limits_.to_mailbox, mail, now);
}

std::optional<escqrs::Timestamp> MailOutbox::turn_of_registration(const OwedMail& mail, escqrs::Timestamp now)
{
    return turn(begun_of_registration_, to_string(mail.attendee_id), limits_.of_registration, mail, now);
}

/// Has the next due mails to a full mailbox wait, and adds those to `given_up` that have waited for too long.
/// @return the number of all of them
int MailOutbox::hold_back_mailbox(const std::string& mailbox, escqrs::Timestamp until, escqrs::Timestamp now,
                                  std::vector<OwedMail>& given_up)
{
    const auto furthest = escqrs::later_by(now, furthest_);
    const auto expired_since = now - limits_.longest_wait;
    int expired = 0;
    {
        auto rows = expire_.query(now, expired_since, now, furthest, mailbox);
        for (; rows.next(); ++expired) given_up.push_back(read_mail(rows));
    }
    return expired + hold_back_mailbox_.run(std::min(until, furthest), expired_since, now, furthest, mailbox);
}

/// @return false if it has been held back for too long, and is given up
bool MailOutbox::hold_back(const OwedMail& mail, escqrs::Timestamp until, escqrs::Timestamp now)
{
    const auto waits_since = std::min(mail.first_begun.value_or(mail.created_at), now);
    if (escqrs::later_by(waits_since, limits_.longest_wait) <= now) {
        give_up(mail, now, no_turn);
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
