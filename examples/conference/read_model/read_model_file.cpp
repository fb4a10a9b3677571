// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "read_model_file.hpp"

#include <array>

namespace conference {
namespace {

// What limits mails, ends those that have become useless, and finds the registration of a confirmation.
constexpr const char* mail_limits = R"sql(
        ALTER TABLE outgoing_mail ADD COLUMN mailbox TEXT NOT NULL DEFAULT ''; -- `mailbox_of` the recipient
        ALTER TABLE outgoing_mail ADD COLUMN begun_at INTEGER;                 -- the last attempt
        ALTER TABLE outgoing_mail ADD COLUMN given_up_at INTEGER;              -- it will not be sent
        UPDATE outgoing_mail SET mailbox = lower(recipient), begun_at = sent_at;
        DROP INDEX unsent_mail;
        CREATE INDEX unsent_mail ON outgoing_mail (not_before, created_at)
            WHERE sent_at IS NULL AND given_up_at IS NULL;
        CREATE INDEX mail_by_mailbox ON outgoing_mail (mailbox, begun_at);
        CREATE INDEX mail_by_attendee ON outgoing_mail (attendee_id, begun_at);
        CREATE INDEX mail_by_confirmation ON outgoing_mail (confirmation_id);
    )sql";

// What tells how far the read model has come, and that it lacks something. An attendee's version counts its events.
constexpr const char* lag_and_gap = R"sql(
        ALTER TABLE progress ADD COLUMN events INTEGER NOT NULL DEFAULT 0; -- handled so far, each once
        ALTER TABLE progress ADD COLUMN gap TEXT;                          -- why it must be built anew
        UPDATE progress SET events = (SELECT coalesce(sum(version), 0) FROM attendee);
    )sql";

// What the lag counts and no worker works on.
constexpr const char* dead_letters = R"sql(
        ALTER TABLE progress ADD COLUMN dead_lettered INTEGER NOT NULL DEFAULT 0; -- events so far, some more than once
    )sql";

// What finds the mail that a mailbox takes next, however many wait for it.
constexpr const char* mail_turns = R"sql(
        -- mails begun before the first attempt of this one, of the same registration to the same mailbox
        ALTER TABLE outgoing_mail ADD COLUMN earlier INTEGER NOT NULL DEFAULT 0;
        UPDATE outgoing_mail SET earlier = (SELECT count(*) FROM outgoing_mail AS other
                WHERE other.attendee_id = outgoing_mail.attendee_id AND other.mailbox = outgoing_mail.mailbox
                AND other.begun_at IS NOT NULL)
            WHERE sent_at IS NULL AND given_up_at IS NULL AND attempts = 0;
        CREATE INDEX mail_by_turn ON outgoing_mail (mailbox, earlier, created_at DESC)
            WHERE sent_at IS NULL AND given_up_at IS NULL AND attempts = 0;
        DROP INDEX mail_by_mailbox;
        CREATE INDEX mail_by_mailbox ON outgoing_mail (mailbox, begun_at) WHERE begun_at IS NOT NULL;
    )sql";

constexpr std::array upgrades{mail_limits, lag_and_gap, dead_letters, mail_turns};

} // namespace

// The ids are texts, so that people can look into the file with any SQLite tool. Moments are microseconds since 1970.
const escqrs::sqlite::Schema read_model_schema{.name = "conference read model",
                                               .application_id = 0x43'6F'6E'66, // "Conf"
                                               .version = 5,
                                               .sql = R"sql(
        CREATE TABLE attendee (
            id            TEXT PRIMARY KEY,
            registered    INTEGER NOT NULL,
            email         TEXT NOT NULL,
            pending_email TEXT,
            reason        TEXT,
            version       INTEGER NOT NULL,
            position      INTEGER NOT NULL,
            registered_at INTEGER NOT NULL,
            updated_at    INTEGER NOT NULL,
            list_position INTEGER NOT NULL, -- log position of the registration
            revision      INTEGER NOT NULL  -- number of the last change: the newest change in the file has the highest
        ) STRICT;
        CREATE UNIQUE INDEX attendee_by_registration ON attendee (list_position, id);
        CREATE INDEX attendee_by_revision ON attendee (revision);

        CREATE TABLE progress (
            only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
            revision INTEGER NOT NULL,
            position INTEGER NOT NULL -- of the newest event shown
        ) STRICT;
        INSERT INTO progress VALUES (1, 0, 0);

        CREATE TABLE outgoing_mail (
            event_id        TEXT PRIMARY KEY, -- one mail for each event, however often it is delivered
            recipient       TEXT NOT NULL,
            attendee_id     TEXT NOT NULL,
            confirmation_id TEXT NOT NULL,
            created_at      INTEGER NOT NULL,
            sent_at         INTEGER,
            attempts        INTEGER NOT NULL DEFAULT 0, -- begun so far
            not_before      INTEGER NOT NULL DEFAULT 0, -- nobody may begin the next attempt earlier
            last_error      TEXT
        ) STRICT;
        CREATE INDEX unsent_mail ON outgoing_mail (not_before, created_at) WHERE sent_at IS NULL;
    )sql",
                                               .upgrades = upgrades};

AttendeeView read_attendee(const read_model::Rows& row)
{
    const auto optional_text = [&](int column) -> std::optional<std::string> {
        if (row.is_null(column)) return std::nullopt;
        return std::string{row.text(column)};
    };
    AttendeeView view;
    view.id = AttendeeId::parse(row.text(0));
    view.registered = row.integer(1) != 0;
    view.email = row.text(2);
    view.pending_email = optional_text(3);
    view.reason = optional_text(4);
    view.version = escqrs::StreamVersion{static_cast<std::uint64_t>(row.integer(5))};
    view.position = escqrs::GlobalPosition{static_cast<std::uint64_t>(row.integer(6))};
    view.registered_at = row.time(7);
    view.updated_at = row.time(8);
    return view;
}

} // namespace conference
