// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "domain/attendee.hpp"
#include "domain/rule_violation.hpp"

#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/given_when_then.hpp>

#include <string>

using namespace conference;
using escqrs::testing::given;
using escqrs::testing::SequentialIds;
using escqrs::testing::when;

namespace {

// Whoever is given below registered as Ada, and has asked for other addresses since.
const Email ada = Email::parse("ada@example.org");
const Email lovelace = Email::parse("lovelace@example.net");
const Email byron = Email::parse("byron@example.com");

const AttendeeId id{SequentialIds::nth(1)};
const ConfirmationId first{SequentialIds::nth(101)};
const ConfirmationId second{SequentialIds::nth(102)};
const ConfirmationId unknown{SequentialIds::nth(999)};

const AttendeeRegistered registered{ada.text()};
const EmailChangeRequested requested_lovelace{lovelace.text(), first};
const EmailChangeRequested requested_byron{byron.text(), second};
const EmailChangeConfirmed confirmed_lovelace{lovelace.text()};
const AttendeeUnregistered unregistered{"other plans"};

auto registering(const Email& email)
{
    return [=] { return Attendee::register_with(id, email); };
}
auto changing_to(const Email& email, const ConfirmationId& confirmation = first)
{
    return [=](Attendee& attendee) { attendee.change_email(email, confirmation); };
}
auto confirming(const ConfirmationId& confirmation)
{
    return [=](Attendee& attendee) { attendee.confirm_email(confirmation); };
}
auto unregistering(const std::string& reason)
{
    return [=](Attendee& attendee) { attendee.unregister(reason); };
}

constexpr auto rule = &RuleViolation::rule;

} // namespace

TEST_CASE("attendee: registering says who registered, with which address")
{
    const auto attendee = when(registering(ada)).then(AttendeeRegistered{"ada@example.org"});
    CHECK(attendee.aggregate().id() == id);
}

TEST_CASE("attendee: changing the address")
{
    SECTION("asks for a confirmation, with the id that goes to the new address")
    {
        given<Attendee>(registered)
            .when(changing_to(lovelace, first))
            .then(EmailChangeRequested{"lovelace@example.net", first});
    }
    SECTION("to the address already in use is refused")
    {
        given<Attendee>(registered).when(changing_to(ada)).then_throws<RuleViolation>(rule, "same-email");
    }
    SECTION("back to the address in use is refused while another one is pending, too")
    {
        given<Attendee>(registered, requested_lovelace)
            .when(changing_to(ada))
            .then_throws<RuleViolation>(rule, "same-email");
    }
    SECTION("may be asked for twice: the same address, a new confirmation id")
    {
        given<Attendee>(registered, requested_lovelace)
            .when(changing_to(lovelace, second))
            .then(EmailChangeRequested{"lovelace@example.net", second});

        const auto asked_twice =
            given<Attendee>(registered, requested_lovelace, EmailChangeRequested{lovelace.text(), second});
        asked_twice.when(confirming(first)).then_throws<RuleViolation>(rule, "confirmation-mismatch");
        asked_twice.when(confirming(second)).then(EmailChangeConfirmed{"lovelace@example.net"});
    }
}

TEST_CASE("attendee: an address can be asked for a hundred times, and what follows the last time has room")
{
    auto asked = given<Attendee>(registered);
    for (std::size_t count = 0; count + 1 < Attendee::max_email_changes; ++count) asked.happened(requested_lovelace);
    asked.when(changing_to(byron, second)).then(requested_byron);
    asked.happened(requested_byron);
    asked.when(changing_to(lovelace))
        .then_throws<RuleViolation>(rule, "too-many-email-changes")
        .when(confirming(second))
        .then(EmailChangeConfirmed{byron.text()})
        .when(changing_to(lovelace))
        .then_throws<RuleViolation>(rule, "too-many-email-changes")
        .when(unregistering("other plans"))
        .then(unregistered);
    asked.when(unregistering("other plans")).then(unregistered);
    asked.when(changing_to(byron, second)).then_throws<RuleViolation>(&RuleViolation::field, "email");
}

TEST_CASE("attendee: confirming the new address")
{
    SECTION("puts it into use: it is now the one that cannot be asked for")
    {
        given<Attendee>(registered, requested_lovelace)
            .when(confirming(first))
            .then(EmailChangeConfirmed{"lovelace@example.net"});

        const auto lives_at_lovelace = given<Attendee>(registered, requested_lovelace, confirmed_lovelace);
        lives_at_lovelace.when(changing_to(lovelace)).then_throws<RuleViolation>(rule, "same-email");
        lives_at_lovelace.when(changing_to(ada, second)).then(EmailChangeRequested{"ada@example.org", second});
    }
    SECTION("works once")
    {
        given<Attendee>(registered, requested_lovelace, confirmed_lovelace)
            .when(confirming(first))
            .then_throws<RuleViolation>(rule, "nothing-to-confirm");
    }
    SECTION("needs a request first")
    {
        const auto ada_registered = given<Attendee>(registered);
        ada_registered.when(confirming(unknown)).then_throws<RuleViolation>(rule, "nothing-to-confirm");
        ada_registered.when(confirming(ConfirmationId{})).then_throws<RuleViolation>(rule, "nothing-to-confirm");
    }
    SECTION("needs the id that was mailed; a wrong one spoils nothing")
    {
        given<Attendee>(registered, requested_lovelace)
            .when(confirming(unknown))
            .then_throws<RuleViolation>(rule, "confirmation-mismatch")
            .when(confirming(ConfirmationId{}))
            .then_throws<RuleViolation>(rule, "confirmation-mismatch")
            .when(confirming(first))
            .then(confirmed_lovelace);
    }
    SECTION("takes the latest request; earlier ones are void")
    {
        const auto asked_twice = given<Attendee>(registered, requested_lovelace, requested_byron);
        asked_twice.when(confirming(first)).then_throws<RuleViolation>(rule, "confirmation-mismatch");
        asked_twice.when(confirming(second)).then(EmailChangeConfirmed{"byron@example.com"});
    }
    SECTION("may be followed by the next change")
    {
        given<Attendee>(registered, requested_lovelace, confirmed_lovelace)
            .when(changing_to(ada, second))
            .then(EmailChangeRequested{"ada@example.org", second})
            .when(confirming(second))
            .then(EmailChangeConfirmed{"ada@example.org"});
    }
}

TEST_CASE("attendee: unregistering")
{
    SECTION("keeps the reason")
    {
        given<Attendee>(registered).when(unregistering("other plans")).then(AttendeeUnregistered{"other plans"});
    }
    SECTION("needs a reason")
    {
        for (const std::string none : {"", " ", "\t\r\n "}) {
            given<Attendee>(registered).when(unregistering(none)).then_throws<RuleViolation>(rule, "invalid-reason");
        }
    }
    SECTION("takes a reason of 500 bytes, not of 501")
    {
        const std::string longest(500, 'x');
        given<Attendee>(registered)
            .when(unregistering(longest + "x"))
            .then_throws<RuleViolation>(rule, "invalid-reason")
            .when(unregistering(longest))
            .then(AttendeeUnregistered{longest});
    }
    SECTION("is the end: nothing can be changed afterwards")
    {
        const auto gone = given<Attendee>(registered, requested_lovelace, unregistered);
        gone.when(changing_to(byron)).then_throws<RuleViolation>(rule, "already-unregistered");
        gone.when(confirming(first)).then_throws<RuleViolation>(rule, "already-unregistered");
        gone.when(unregistering("again")).then_throws<RuleViolation>(rule, "already-unregistered");
    }
}

TEST_CASE("attendee: the rules hold for one that was just changed as for one that was loaded")
{
    when(registering(ada))
        .then(registered)
        .when(confirming(unknown))
        .then_throws<RuleViolation>(rule, "nothing-to-confirm")
        .when(confirming(ConfirmationId{}))
        .then_throws<RuleViolation>(rule, "nothing-to-confirm")
        .when(changing_to(ada))
        .then_throws<RuleViolation>(rule, "same-email")
        .when(changing_to(byron, first))
        .then(EmailChangeRequested{byron.text(), first})
        .when(changing_to(ada))
        .then_throws<RuleViolation>(rule, "same-email")
        .when(changing_to(lovelace, second))
        .then(EmailChangeRequested{lovelace.text(), second})
        .when(confirming(first))
        .then_throws<RuleViolation>(rule, "confirmation-mismatch")
        .when(confirming(ConfirmationId{}))
        .then_throws<RuleViolation>(rule, "confirmation-mismatch")
        .when(confirming(second))
        .then(confirmed_lovelace)
        .when(confirming(second))
        .then_throws<RuleViolation>(rule, "nothing-to-confirm")
        .when(changing_to(lovelace))
        .then_throws<RuleViolation>(rule, "same-email")
        .when(changing_to(ada, first))
        .then(EmailChangeRequested{ada.text(), first})
        .when(unregistering("\t\r\n "))
        .then_throws<RuleViolation>(rule, "invalid-reason")
        .when(unregistering(std::string(501, 'x')))
        .then_throws<RuleViolation>(rule, "invalid-reason")
        .when(unregistering(std::string(500, 'x')))
        .then(AttendeeUnregistered{std::string(500, 'x')})
        .when(changing_to(byron))
        .then_throws<RuleViolation>(rule, "already-unregistered")
        .when(confirming(first))
        .then_throws<RuleViolation>(rule, "already-unregistered")
        .when(unregistering("again"))
        .then_throws<RuleViolation>(rule, "already-unregistered");
}

TEST_CASE("attendee: a refusal names the input it speaks of, in a sentence for people")
{
    const auto ada_registered = given<Attendee>(registered);
    const auto expect = [](const auto& outcome, const std::string& field, const std::string& sentence) {
        outcome.template then_throws<RuleViolation>(&RuleViolation::field, field);
        outcome.template then_throws<RuleViolation>(&RuleViolation::what, sentence);
    };
    expect(ada_registered.when(changing_to(ada)), "email", "This is the address already in use.");
    expect(ada_registered.when(confirming(first)), "confirmationId",
           "No change of address is waiting to be confirmed.");
    expect(given<Attendee>(registered, requested_lovelace).when(confirming(second)), "confirmationId",
           "This is not the confirmation id that was mailed to the new address.");
    expect(ada_registered.when(unregistering(" ")), "reason", "Please say why you unregister.");
    expect(ada_registered.when(unregistering(std::string(501, 'x'))), "reason", "The reason is longer than 500 bytes.");
    expect(given<Attendee>(registered, unregistered).when(unregistering("again")), "",
           "This registration was given back; it can no longer be changed.");
}

TEST_CASE("attendee: event names and category are what stored streams and queues hold")
{
    // They are in every stored event; changing one makes old events unreadable.
    CHECK(Attendee::category == "attendee");
    CHECK(AttendeeRegistered::event_name == "AttendeeRegistered");
    CHECK(EmailChangeRequested::event_name == "EmailChangeRequested");
    CHECK(EmailChangeConfirmed::event_name == "EmailChangeConfirmed");
    CHECK(AttendeeUnregistered::event_name == "AttendeeUnregistered");
}
