// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/error.hpp>
#include <escqrs/core/identifiers.hpp>
#include <escqrs/core/timestamp.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace conference {

/// A mail cannot be written or was not taken. It is tried again later.
class MailError : public escqrs::Error {
public:
    using Error::Error;
};

/// A mail will never be taken. It is not tried again.
class MailRefused : public MailError {
public:
    using MailError::MailError;
};

/// A mail to one person.
struct Mail {
    escqrs::EventId id;     ///< of the event it tells of; the same in every attempt to send it
    std::string message_id; ///< `local@domain`, derived from the id
    escqrs::Timestamp date{};
    std::string from_name;
    std::string from; ///< address
    std::string to;   ///< address
    std::string subject;
    std::string text;          ///< UTF-8, lines end with '\n'
    std::uint32_t attempt = 1; ///< how often sending has been begun, this time included
};

/// The mail as RFC 5322 and MIME text, lines ending with CRLF. The same mail always gives the same bytes.
///
/// A text of plain ASCII is not encoded, so that people can read it in a file; any other is quoted-printable.
/// @throws MailRefused if an address or header holds what could end its line or its place in it
std::string to_rfc5322(const Mail& mail);

/// `text` unless it is not safe to stand between '<' and '>' in a header or an SMTP command.
/// @throws MailRefused
const std::string& checked_address(const std::string& text);

} // namespace conference
