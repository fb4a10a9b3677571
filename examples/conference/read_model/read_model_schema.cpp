// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "read_model_schema.hpp"

#include <array>

namespace conference {
namespace {

// As in the SQLite file, but for the moments. Texts are sorted as bytes, as there.
constexpr std::array<const char*, 5> steps{R"sql(
        CREATE TABLE {s}.attendee (
            id            text COLLATE "C" PRIMARY KEY,
            registered    bigint NOT NULL,
            email         text NOT NULL,
            pending_email text,
            reason        text,
            version       bigint NOT NULL,
            position      bigint NOT NULL,
            registered_at timestamptz NOT NULL,
            updated_at    timestamptz NOT NULL,
            list_position bigint NOT NULL, -- log position of the registration
            revision      bigint NOT NULL  -- number of the last change: the newest change has the highest
        );
        CREATE UNIQUE INDEX attendee_by_registration ON {s}.attendee (list_position, id);
        CREATE INDEX attendee_by_revision ON {s}.attendee (revision);

        CREATE TABLE {s}.progress (
            only_row integer PRIMARY KEY CHECK (only_row = 1),
            revision bigint NOT NULL,
            position bigint NOT NULL -- of the newest event shown
        );
        INSERT INTO {s}.progress VALUES (1, 0, 0);

        CREATE TABLE {s}.outgoing_mail (
            event_id        text PRIMARY KEY, -- one mail for each event, however often it is delivered
            recipient       text NOT NULL,
            attendee_id     text NOT NULL,
            confirmation_id text NOT NULL,
            created_at      timestamptz NOT NULL,
            sent_at         timestamptz,
            attempts        bigint NOT NULL DEFAULT 0,           -- begun so far
            not_before      timestamptz NOT NULL DEFAULT 'epoch', -- nobody may begin the next attempt earlier
            last_error      text
        );
        CREATE INDEX unsent_mail ON {s}.outgoing_mail (not_before, created_at) WHERE sent_at IS NULL;
    )sql",
                                           R"sql(
        ALTER TABLE {s}.outgoing_mail
            ADD COLUMN mailbox     text COLLATE "C" NOT NULL DEFAULT '', -- `mailbox_of` the recipient
            ADD COLUMN begun_at    timestamptz,                          -- the last attempt
            ADD COLUMN given_up_at timestamptz;                          -- it will not be sent
        UPDATE {s}.outgoing_mail SET mailbox = lower(recipient COLLATE "C"), begun_at = sent_at;
        DROP INDEX {s}.unsent_mail;
        CREATE INDEX unsent_mail ON {s}.outgoing_mail (not_before, created_at)
            WHERE sent_at IS NULL AND given_up_at IS NULL;
        CREATE INDEX mail_by_mailbox ON {s}.outgoing_mail (mailbox, begun_at);
        CREATE INDEX mail_by_attendee ON {s}.outgoing_mail (attendee_id, begun_at);
        CREATE INDEX mail_by_confirmation ON {s}.outgoing_mail (confirmation_id);
    )sql",
                                           R"sql(
        ALTER TABLE {s}.progress
            ADD COLUMN events bigint NOT NULL DEFAULT 0, -- handled so far, each once
            ADD COLUMN gap    text;                      -- why it must be built anew
        UPDATE {s}.progress SET events = (SELECT coalesce(sum(version), 0) FROM {s}.attendee);
    )sql",
                                           R"sql(
        ALTER TABLE {s}.progress
            ADD COLUMN dead_lettered bigint NOT NULL DEFAULT 0; -- events so far, some more than once
    )sql",
                                           R"sql(
        ALTER TABLE {s}.outgoing_mail
            -- mails begun before the first attempt of this one, of the same registration to the same mailbox
            ADD COLUMN earlier bigint NOT NULL DEFAULT 0;
        UPDATE {s}.outgoing_mail AS mail SET earlier = (SELECT count(*) FROM {s}.outgoing_mail AS other
                WHERE other.attendee_id = mail.attendee_id AND other.mailbox = mail.mailbox
                AND other.begun_at IS NOT NULL)
            WHERE sent_at IS NULL AND given_up_at IS NULL AND attempts = 0;
        CREATE INDEX mail_by_turn ON {s}.outgoing_mail (mailbox, earlier, created_at DESC)
            WHERE sent_at IS NULL AND given_up_at IS NULL AND attempts = 0;
        DROP INDEX {s}.mail_by_mailbox;
        CREATE INDEX mail_by_mailbox ON {s}.outgoing_mail (mailbox, begun_at) WHERE begun_at IS NOT NULL;
    )sql"};

} // namespace

const escqrs::postgres::SchemaPart read_model_tables{"conference read model", steps};

} // namespace conference
