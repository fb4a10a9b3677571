// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <string>
#include <string_view>

namespace conference {

/// An email address that looks deliverable: trimmed, one mailbox, a domain with a dot.
class Email {
public:
    /// @throws RuleViolation "invalid-email" that says what is wrong
    static Email parse(std::string_view text);

    const std::string& text() const noexcept { return text_; }

    friend bool operator==(const Email&, const Email&) = default;

private:
    explicit Email(std::string_view text) : text_{text} {}

    std::string text_;
};

} // namespace conference
