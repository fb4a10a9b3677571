// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

// What there is to know of `postgres://user:password@host:port/database?…` before a connection is made.
namespace conference::postgres {

/// An address does not make sense. The text repeats none of it, for any part may be a password in the wrong place.
class AddressError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Whether the text is the address of a PostgreSQL database, and not a path.
bool is_address(std::string_view text) noexcept;

/// The address for people to read: hosts, ports and database, and nothing else.
/// @throws AddressError if libpq would not understand it, or not as it was meant
std::string shown(const std::string& address);

/// The address of the same database, with server settings for each session, such as `-c search_path=conference`. They
/// hold after a reconnection, too. Those that the address itself names go first.
/// @throws AddressError
std::string with_session_settings(const std::string& address, std::string_view settings);

} // namespace conference::postgres
