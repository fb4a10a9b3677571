// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "email.hpp"

#include "rule_violation.hpp"
#include "text.hpp"

#include <algorithm>

namespace conference {
namespace {

// RFC 5321, section 4.5.3.1: 64 octets before the '@', 255 for the domain, 254 for what fits in a path.
constexpr std::size_t max_address_length = 254;
constexpr std::size_t max_local_length = 64;
constexpr std::size_t max_label_length = 63;

[[noreturn]] void refuse(const std::string& sentence) { throw RuleViolation{"invalid-email", "email", sentence}; }

bool is_letter_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

/// RFC 5322 `atext`, without the quoted forms that no conference needs.
bool is_local_character(char c)
{
    return is_letter_or_digit(c) || std::string_view{"!#$%&'*+-/=?^_`{|}~."}.find(c) != std::string_view::npos;
}

void check_local_part(std::string_view local)
{
    if (local.empty()) refuse("The email address has nothing before the @.");
    if (local.size() > max_local_length) refuse("The part before the @ is longer than 64 characters.");
    if (!std::ranges::all_of(local, is_local_character)) {
        refuse("The part before the @ holds a character that email addresses do not allow.");
    }
    if (local.front() == '.' || local.back() == '.' || local.find("..") != std::string_view::npos) {
        refuse("A dot stands in the wrong place before the @.");
    }
}

void check_domain(std::string_view domain)
{
    if (domain.find('.') == std::string_view::npos) {
        refuse("The email address needs a domain such as example.org after the @.");
    }
    while (true) {
        const auto dot = domain.find('.');
        const auto label = domain.substr(0, dot);
        if (label.empty() || label.size() > max_label_length || label.front() == '-' || label.back() == '-' ||
            !std::ranges::all_of(label, [](char c) { return c == '-' || is_letter_or_digit(c); })) {
            refuse("The domain after the @ is not a valid host name.");
        }
        if (dot == std::string_view::npos) return;
        domain.remove_prefix(dot + 1);
    }
}

} // namespace

Email Email::parse(std::string_view text)
{
    const auto address = trimmed(text);
    if (address.empty()) refuse("An email address is needed.");
    if (address.size() > max_address_length) refuse("The email address is longer than 254 characters.");
    const auto at = address.find('@');
    if (at == std::string_view::npos) refuse("The email address has no @.");
    if (address.find('@', at + 1) != std::string_view::npos) refuse("The email address has more than one @.");
    check_local_part(address.substr(0, at));
    check_domain(address.substr(at + 1));
    return Email{address};
}

} // namespace conference
