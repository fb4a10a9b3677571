// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "mailbox.hpp"

#include <algorithm>

namespace conference {

std::string mailbox_of(std::string_view address)
{
    const auto at = address.rfind('@');
    std::string mailbox{address.substr(0, at)};
    if (const auto plus = mailbox.find('+'); plus != std::string::npos && plus != 0) mailbox.erase(plus);
    std::erase(mailbox, '.');
    if (at != std::string_view::npos) mailbox.append(address.substr(at));
    std::ranges::transform(mailbox, mailbox.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return mailbox;
}

} // namespace conference
