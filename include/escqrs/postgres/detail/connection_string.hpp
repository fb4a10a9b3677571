// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/postgres/database_error.hpp>

#include <libpq-fe.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

namespace escqrs::inline v0::postgres::detail {

/// True if `ports`, separated by commas, are all ports.
inline bool are_ports(std::string_view ports) noexcept
{
    unsigned long port = 1;
    bool are_all = true;
    const auto end_port = [&] { are_all = are_all && port > 0 && port <= 65'535; };
    if (ports.empty()) return true;
    port = 0;
    for (const char character : ports) {
        if (character == ',') {
            end_port();
            port = 0;
        } else if (character < '0' || character > '9') {
            return false;
        } else {
            port = std::min(10 * port + static_cast<unsigned long>(character - '0'), 100'000UL);
        }
    }
    end_port();
    return are_all;
}

/// What a connection string says, by libpq's keywords.
class ConnectionString {
public:
    explicit ConnectionString(const std::string& text)
        : options_{PQconninfoParse(text.c_str(), nullptr), &PQconninfoFree}
    {
    }

    bool is_readable() const noexcept { return options_ != nullptr; }

    /// Empty if the string does not say.
    std::string_view value_of(std::string_view keyword) const noexcept
    {
        const PQconninfoOption* option = options_.get();
        while (option->keyword != nullptr && option->keyword != keyword) ++option;
        return option->keyword == nullptr || option->val == nullptr ? "" : option->val;
    }

private:
    std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options_;
};

/// True if libpq can read `address`, and reads no host, port or database in it that looks like a piece of a password
/// whose special characters are not escaped: libpq's messages would show that.
inline bool is_connection_string(const std::string& address)
{
    const ConnectionString parts{address};
    if (!parts.is_readable()) return false;
    const bool is_uri = address.starts_with("postgres://") || address.starts_with("postgresql://");
    // A socket in Linux's abstract namespace begins with '@'.
    const std::string_view host = parts.value_of("host");
    if (!host.empty() && host.substr(1).find('@') != std::string_view::npos) return false;
    if (!are_ports(parts.value_of("port"))) return false;
    const bool has_at = parts.value_of("dbname").find('@') != std::string_view::npos;
    return !is_uri || !has_at || address.find("%40") != std::string::npos;
}

/// Server and database of an address that is a connection string, for error messages.
inline std::string place_of(const std::string& address)
{
    const ConnectionString parts{address};
    const std::string_view host = parts.value_of("host").empty() ? parts.value_of("hostaddr") : parts.value_of("host");
    std::string place{host};
    return place.append(1, ':').append(parts.value_of("port")).append(1, '/').append(parts.value_of("dbname"));
}

/// @throws ConnectionLost  without anything of `address`, in which there may be a password
inline void require_connection_string(const std::string& address)
{
    if (is_connection_string(address)) return;
    throw ConnectionLost{"?", "cannot connect",
                         "expected a connection string of libpq, as postgresql://user@host:5432/database or "
                         "\"host=... dbname=...\", found one that cannot be read (it may hold a password, so it is not "
                         "shown; within the parts of a URI '@' is written %40, '/' %2F, ':' %3A, '%' %25, and a value "
                         "with spaces stands in quotes)",
                         ""};
}

} // namespace escqrs::inline v0::postgres::detail
