// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace conference {

/// The domain refuses a command. `rule()` is a stable short name for programs, `what()` a sentence for people.
class RuleViolation : public std::domain_error {
public:
    RuleViolation(std::string rule, std::string field, const std::string& sentence)
        : std::domain_error{sentence}, rule_{std::move(rule)}, field_{std::move(field)}
    {
    }

    const std::string& rule() const noexcept { return rule_; }

    /// Name of the input the rule speaks of; empty if it speaks of the attendee as a whole.
    const std::string& field() const noexcept { return field_; }

private:
    std::string rule_;
    std::string field_;
};

} // namespace conference
