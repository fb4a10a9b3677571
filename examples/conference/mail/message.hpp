// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace mail {

/// A mail cannot be written, or the server did not take it: it may be tried again. The text may quote what a server or a user
/// wrote, as it was.
class Error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// A mail that no later attempt can deliver.
class Refused : public Error {
public:
    using Error::Error;
};

/// A mail to one person.
struct Message {
    std::string id;         ///< the same in every attempt to send it; a folder names its file by it
    std::string message_id; ///< `local@domain`, derived from the id
    std::chrono::sys_seconds date{};
    std::string from_name;
    std::string from; ///< address
    std::string to;   ///< address
    std::string subject;
    std::string text;          ///< UTF-8, lines end with '\n'
    std::uint32_t attempt = 1; ///< at sending it, from 1
};

/// The mail as RFC 5322 and MIME text, lines ending with CRLF. The same mail always gives the same bytes.
///
/// A text of plain ASCII is not encoded, so that people can read it in a file; any other is quoted-printable.
/// @throws Refused if an address or header holds what could end its line or its place in it
std::string to_rfc5322(const Message& mail);

/// `text` unless it is not safe to stand between '<' and '>' in a header or an SMTP command.
/// @throws Refused
const std::string& checked_address(const std::string& text);

} // namespace mail
