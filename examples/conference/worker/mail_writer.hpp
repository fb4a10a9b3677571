// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../mail/message.hpp"
#include "mail_outbox.hpp"

#include <string>

namespace conference {

/// Writes the mails that the read model owes.
/// @par Thread safety  any thread
class MailWriter {
public:
    /// @param public_url  how people reach the page, without a slash at the end
    /// @param from        address the mails come from; empty: no-reply at the host of `public_url`
    /// @throws mail::Error if one of them cannot stand in a mail
    MailWriter(std::string public_url, std::string from);

    /// The mail that asks for the confirmation of a new address, or the one that brings the key to a new registration.
    mail::Message operator()(const OwedMail& owed) const;

private:
    void ask_for_confirmation(mail::Message& mail, const std::string& confirmation) const;
    void bring_key(mail::Message& mail, const std::string& attendee) const;

    std::string public_url_;
    std::string host_; ///< as it stands after an @
    std::string from_;
};

} // namespace conference
