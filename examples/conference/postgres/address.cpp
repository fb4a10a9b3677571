// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "address.hpp"

#include <libpq-fe.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <memory>

namespace conference::postgres {
namespace {

/// What the address says, by libpq's keywords; nothing of what libpq would take from elsewhere.
std::map<std::string, std::string> parse(const std::string& address)
{
    const auto free_options = [](PQconninfoOption* options) { PQconninfoFree(options); };
    const std::unique_ptr<PQconninfoOption, decltype(free_options)> options{
        PQconninfoParse(address.c_str(), nullptr), // libpq's message would quote what it stumbled over
        free_options};
    if (!options) throw AddressError{"expected postgres://[user[:password]@]host[:port]/database[?name=value&...]"};
    std::map<std::string, std::string> parts;
    for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
        if (option->val != nullptr) parts.emplace(option->keyword, option->val);
    }
    return parts;
}

/// A password with '@', ':' or '/' in it would end up in another part, and from there in messages.
void require_plain(const std::map<std::string, std::string>& parts)
{
    for (const char* const name : {"host", "port", "dbname"}) {
        const auto part = parts.find(name);
        if (part != parts.end() && part->second.find('@') != std::string::npos) {
            throw AddressError{"expected no second '@': in a user or a password, '@' is written %40, '/' %2F, ':' %3A"};
        }
    }
    const auto port = parts.find("port");
    const auto is_of_port = [](unsigned char character) { return std::isdigit(character) != 0 || character == ','; };
    if (port != parts.end() && !std::ranges::all_of(port->second, is_of_port)) {
        throw AddressError{"expected a port of digits: in a user or a password, '@' is written %40, '/' %2F, ':' %3A"};
    }
}

std::map<std::string, std::string> checked_parts(const std::string& address)
{
    auto parts = parse(address);
    require_plain(parts);
    return parts;
}

std::string quoted(const std::string& value)
{
    std::string text{'\''};
    for (const char character : value) {
        if (character == '\'' || character == '\\') text += '\\';
        text += character;
    }
    return text += '\'';
}

} // namespace

bool is_address(std::string_view text) noexcept
{
    return text.starts_with("postgres://") || text.starts_with("postgresql://");
}

std::string shown(const std::string& address)
{
    auto parts = checked_parts(address);
    std::string text = "postgres://" + parts["host"];
    if (!parts["port"].empty()) text += ":" + parts["port"];
    return text + "/" + parts["dbname"];
}

std::string with_session_settings(const std::string& address, std::string_view settings)
{
    auto parts = checked_parts(address);
    std::string& options = parts["options"];
    options.append(options.empty() ? "" : " ").append(settings);
    std::string text;
    for (const auto& [name, value] : parts) text += (text.empty() ? "" : " ") + name + "=" + quoted(value);
    return text;
}

} // namespace conference::postgres
