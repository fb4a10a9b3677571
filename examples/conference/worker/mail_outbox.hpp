// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../domain/attendee.hpp"
#include "../read_model/database.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace conference {

/// A confirmation mail that is owed, as the projection wrote it down.
struct OwedMail {
    escqrs::EventId event_id;
    std::string recipient;
    AttendeeId attendee_id;
    ConfirmationId confirmation_id;
    escqrs::Timestamp created_at{};
    std::uint32_t attempt = 0; ///< this one; 1 at first
};

/// The mails in the read model that are still to be sent. Each is given to one sender at a time, in whatever process,
/// for a limited time.
/// @par Thread safety  as its database: one thread at a time
class MailOutbox {
public:
    /// @param database  the read model; must outlive the outbox
    /// @param furthest  for no longer than that is a mail claimed or put off: one that is due later than that from now was
    ///                  written by a clock that has been set back since, and is due
    explicit MailOutbox(read_model::DatabaseRef database, escqrs::Duration furthest = std::chrono::hours{24});

    /// Takes a mail that is due. Unless it is marked or put off by then, it is due again when `lease` is over.
    /// @throws StoreError
    std::optional<OwedMail> claim(escqrs::Timestamp now, escqrs::Duration lease);

    /// Remembers that the mail is on its way, whoever has claimed it by now.
    /// @throws StoreError
    void mark_sent(const OwedMail& mail, escqrs::Timestamp now);

    /// Makes the mail due at `when`, unless another has claimed it since.
    /// @throws StoreError
    void put_off(const OwedMail& mail, escqrs::Timestamp when, std::string_view error);

private:
    read_model::DatabaseRef database_;
    escqrs::Duration furthest_;
    read_model::Statement is_any_due_;
    read_model::Statement claim_;
    read_model::Statement mark_sent_;
    read_model::Statement put_off_;
};

} // namespace conference
