// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../domain/attendee.hpp"
#include "../read_model/database.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace conference {

/// A mail that is owed, as the projection wrote it down.
struct OwedMail {
    escqrs::EventId event_id;
    std::string recipient;
    AttendeeId attendee_id;
    /// That of a requested address; none: the mail brings the registration's key.
    std::optional<ConfirmationId> confirmation_id;
    escqrs::Timestamp created_at{};
    std::uint32_t attempt = 0; ///< this one; 1 at first
    /// When the first attempt was, if there was one.
    std::optional<escqrs::Timestamp> first_begun{};
    std::string mailbox{}; ///< of the recipient
};

/// How many different mails may be begun in a time.
struct MailLimit {
    std::size_t mails;
    escqrs::Duration within;
};

/// Anyone can cause mails to any address, so their number is limited. Mails beyond the limit wait for their turn.
///
/// When a mailbox has room for a mail, that of the registration that had the fewest sent there is next, and of several
/// the newest. A mail counts once in an hour or day, however often it fails: from its first attempt, and anew when it
/// is sent.
struct MailLimits {
    /// To one mailbox, in any spelling and for any registration.
    MailLimit to_mailbox{5, std::chrono::hours{1}};
    MailLimit of_registration{10, std::chrono::hours{24}}; ///< to any address
    /// How long a mail waits for its turn, from when it is owed or first tried; then it is given up.
    escqrs::Duration longest_wait = std::chrono::hours{48};
};

/// The mails in the read model that are still to be sent. Each is given to one sender at a time, in whatever process,
/// for a limited time. The limits hold for all senders together.
/// @par Thread safety  as its database: one thread at a time
class MailOutbox {
public:
    /// @param database  the read model; must outlive the outbox
    /// @param furthest  for no longer than that is a mail claimed or put off: one that is due later than that from now
    ///                  was written by a clock that has been set back since, and is due
    /// @param on_given_up  called with each mail whose turn did not come
    explicit MailOutbox(
        const read_model::DatabaseRef& database, escqrs::Duration furthest = std::chrono::hours{24},
        MailLimits limits = {}, std::function<void(const OwedMail&)> on_given_up = [](const OwedMail&) {});

    /// Takes a mail that is due and that the limits allow. Unless it is marked or put off by then, it is due again when
    /// `lease` is over.
    /// @throws StoreError
    std::optional<OwedMail> claim(escqrs::Timestamp now, escqrs::Duration lease);

    /// Remembers that the mail is on its way, whichever sender has claimed it by now.
    /// @throws StoreError
    void mark_sent(const OwedMail& mail, escqrs::Timestamp now);

    /// Makes the mail due at `when`, unless another has claimed it since.
    /// @throws StoreError
    void put_off(const OwedMail& mail, escqrs::Timestamp when, std::string_view error);

    /// Remembers that the mail will not be sent.
    /// @throws StoreError
    void give_up(const OwedMail& mail, escqrs::Timestamp now, std::string_view error);

private:
    std::optional<OwedMail> next_due(escqrs::Timestamp now);
    void begin(OwedMail& mail, escqrs::Timestamp now, escqrs::Duration lease);
    OwedMail fairest_instead_of(OwedMail mail, escqrs::Timestamp now);
    std::optional<escqrs::Timestamp> turn_at_mailbox(const OwedMail& mail, escqrs::Timestamp now);
    std::optional<escqrs::Timestamp> turn_of_registration(const OwedMail& mail, escqrs::Timestamp now);
    int hold_back_mailbox(const std::string& mailbox, escqrs::Timestamp until, escqrs::Timestamp now,
                          std::vector<OwedMail>& given_up);
    bool hold_back(const OwedMail& mail, escqrs::Timestamp until, escqrs::Timestamp now);

    read_model::DatabaseRef database_;
    escqrs::Duration furthest_;
    MailLimits limits_;
    std::function<void(const OwedMail&)> on_given_up_;
    read_model::Statement is_any_due_;
    read_model::Statement next_due_;
    read_model::Statement fairest_;
    read_model::Statement begun_to_mailbox_;
    read_model::Statement begun_of_registration_;
    read_model::Statement count_begun_;
    read_model::Statement expire_;
    read_model::Statement hold_back_mailbox_;
    read_model::Statement hold_back_;
    read_model::Statement give_up_;
    read_model::Statement claim_;
    read_model::Statement mark_sent_;
    read_model::Statement put_off_;
};

} // namespace conference
