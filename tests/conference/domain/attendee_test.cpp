// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "domain/attendee.hpp"
#include "domain/rule_violation.hpp"

#include <escqrs/id_generator.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/repository.hpp>
#include <escqrs/testing/catch2.hpp>

#include <string>
#include <type_traits>
#include <variant>

using namespace conference;

namespace {

const Email ada = Email::parse("ada@example.org");
const Email lovelace = Email::parse("lovelace@example.net");
const Email byron = Email::parse("byron@example.com");

ConfirmationId new_confirmation_id() { return ConfirmationId{escqrs::random_uuid()}; }

/// Two ways to the same attendee: as it was just changed, and as its stored events tell it.
enum class Way { live, reloaded };

/// An attendee under test. What it has raised so far is stored first, so that each step's events stand alone.
class Given {
public:
    explicit Given(Way way) : way_{way}, attendee_{Attendee::register_with(id, ada)} { settle(); }

    /// Does something and returns the one event it raised.
    template <class Event, class Behaviour>
    Event raised_by(Behaviour behaviour)
    {
        behaviour(attendee_);
        REQUIRE(attendee_.uncommitted_events().size() == 1);
        const auto event = attendee_.uncommitted_events().front();
        REQUIRE(std::holds_alternative<Event>(event));
        settle();
        return std::get<Event>(event);
    }

    /// Tries something that must be refused, and returns the rule.
    template <class Behaviour>
    std::string rule_against(Behaviour behaviour)
    {
        try {
            behaviour(attendee_);
        } catch (const RuleViolation& violation) {
            CHECK(attendee_.uncommitted_events().empty());
            CHECK_FALSE(std::string{violation.what()}.empty());
            field = violation.field();
            return violation.rule();
        }
        return "allowed";
    }

    ConfirmationId request(const Email& email)
    {
        const auto confirmation = new_confirmation_id();
        raised_by<EmailChangeRequested>([&](Attendee& attendee) { attendee.change_email(email, confirmation); });
        return confirmation;
    }

    std::string confirm(const ConfirmationId& confirmation)
    {
        return raised_by<EmailChangeConfirmed>([&](Attendee& attendee) { attendee.confirm_email(confirmation); }).email;
    }

    void unregister()
    {
        raised_by<AttendeeUnregistered>([](Attendee& attendee) { attendee.unregister("other plans"); });
    }

    const AttendeeId id{escqrs::random_uuid()};
    std::string field; ///< which the last refusal spoke of

private:
    void settle()
    {
        attendees_.save(attendee_);
        if (way_ == Way::reloaded) attendee_ = attendees_.get(id);
    }

    Way way_;
    escqrs::in_memory::EventStore store_;
    escqrs::Repository<Attendee, escqrs::in_memory::EventStore> attendees_{store_};
    Attendee attendee_;
};

} // namespace

TEST_CASE("attendee: registering says who registered, with which address")
{
    const AttendeeId id{escqrs::random_uuid()};
    const auto attendee = Attendee::register_with(id, ada);
    CHECK(attendee.id() == id);
    REQUIRE(attendee.uncommitted_events().size() == 1);
    CHECK(std::get<AttendeeRegistered>(attendee.uncommitted_events().front()).email == "ada@example.org");
}

TEST_CASE("attendee: changing the address")
{
    Given given{GENERATE(Way::live, Way::reloaded)};

    SECTION("asks for a confirmation, with the id that goes to the new address")
    {
        const auto confirmation = new_confirmation_id();
        const auto event = given.raised_by<EmailChangeRequested>(
            [&](Attendee& attendee) { attendee.change_email(lovelace, confirmation); });
        CHECK(event.email == "lovelace@example.net");
        CHECK(event.confirmation_id == confirmation);
    }
    SECTION("to the address already in use is refused")
    {
        CHECK(given.rule_against([](Attendee& a) { a.change_email(ada, new_confirmation_id()); }) == "same-email");
        CHECK(given.field == "email");
    }
    SECTION("back to the address in use is refused while another one is pending, too")
    {
        given.request(lovelace);
        CHECK(given.rule_against([](Attendee& a) { a.change_email(ada, new_confirmation_id()); }) == "same-email");
    }
    SECTION("may be asked for twice: the same address, a new confirmation id")
    {
        const auto first = given.request(lovelace);
        const auto second = given.request(lovelace);
        CHECK(given.rule_against([&](Attendee& a) { a.confirm_email(first); }) == "confirmation-mismatch");
        CHECK(given.confirm(second) == "lovelace@example.net");
    }
}

TEST_CASE("attendee: confirming the new address")
{
    Given given{GENERATE(Way::live, Way::reloaded)};

    SECTION("puts it into use: it is now the one that cannot be asked for")
    {
        const auto confirmation = given.request(lovelace);
        CHECK(given.confirm(confirmation) == "lovelace@example.net");
        CHECK(given.rule_against([](Attendee& a) { a.change_email(lovelace, new_confirmation_id()); }) == "same-email");
        CHECK(given.rule_against([](Attendee& a) { a.change_email(ada, new_confirmation_id()); }) == "allowed");
    }
    SECTION("works once")
    {
        const auto confirmation = given.request(lovelace);
        given.confirm(confirmation);
        CHECK(given.rule_against([&](Attendee& a) { a.confirm_email(confirmation); }) == "nothing-to-confirm");
        CHECK(given.field == "confirmationId");
    }
    SECTION("needs a request first")
    {
        CHECK(given.rule_against([](Attendee& a) { a.confirm_email(new_confirmation_id()); }) == "nothing-to-confirm");
        CHECK(given.rule_against([](Attendee& a) { a.confirm_email(ConfirmationId{}); }) == "nothing-to-confirm");
    }
    SECTION("needs the id that was mailed; a wrong one spoils nothing")
    {
        const auto confirmation = given.request(lovelace);
        CHECK(given.rule_against([](Attendee& a) { a.confirm_email(new_confirmation_id()); }) ==
              "confirmation-mismatch");
        CHECK(given.field == "confirmationId");
        CHECK(given.rule_against([](Attendee& a) { a.confirm_email(ConfirmationId{}); }) == "confirmation-mismatch");
        CHECK(given.confirm(confirmation) == "lovelace@example.net");
    }
    SECTION("takes the latest request; earlier ones are void")
    {
        const auto first = given.request(lovelace);
        const auto second = given.request(byron);
        CHECK(given.rule_against([&](Attendee& a) { a.confirm_email(first); }) == "confirmation-mismatch");
        CHECK(given.confirm(second) == "byron@example.com");
    }
    SECTION("may be followed by the next change")
    {
        given.confirm(given.request(lovelace));
        CHECK(given.confirm(given.request(ada)) == "ada@example.org");
    }
}

TEST_CASE("attendee: unregistering")
{
    Given given{GENERATE(Way::live, Way::reloaded)};

    SECTION("keeps the reason")
    {
        const auto event =
            given.raised_by<AttendeeUnregistered>([](Attendee& attendee) { attendee.unregister("other plans"); });
        CHECK(event.reason == "other plans");
    }
    SECTION("needs a reason")
    {
        for (const std::string reason : {"", " ", "\t\r\n "}) {
            CHECK(given.rule_against([&](Attendee& a) { a.unregister(reason); }) == "invalid-reason");
            CHECK(given.field == "reason");
        }
    }
    SECTION("takes a reason of 500 bytes, not of 501")
    {
        CHECK(given.rule_against([](Attendee& a) { a.unregister(std::string(501, 'x')); }) == "invalid-reason");
        CHECK(given.rule_against([](Attendee& a) { a.unregister(std::string(500, 'x')); }) == "allowed");
    }
    SECTION("is the end: nothing can be changed afterwards")
    {
        const auto confirmation = given.request(lovelace);
        given.unregister();
        CHECK(given.rule_against([](Attendee& a) { a.change_email(byron, new_confirmation_id()); }) ==
              "already-unregistered");
        CHECK(given.rule_against([&](Attendee& a) { a.confirm_email(confirmation); }) == "already-unregistered");
        CHECK(given.rule_against([](Attendee& a) { a.unregister("again"); }) == "already-unregistered");
        CHECK(given.field.empty());
    }
}

TEST_CASE("attendee: wire names and category are what stored streams and queues hold")
{
    // They are in every stored event; changing one makes old events unreadable.
    CHECK(Attendee::category == "attendee");
    CHECK(AttendeeRegistered::event_name == "AttendeeRegistered");
    CHECK(EmailChangeRequested::event_name == "EmailChangeRequested");
    CHECK(EmailChangeConfirmed::event_name == "EmailChangeConfirmed");
    CHECK(AttendeeUnregistered::event_name == "AttendeeUnregistered");
}
