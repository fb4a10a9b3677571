// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "conference/domain/attendee_decider.hpp"

#include "domain/attendee.hpp"

#include <escqrs/commands/repository.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/given_when_then.hpp>

#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

using namespace conference;
using namespace escqrs::testing;
using Decided = escqrs::Decided<AttendeeDecider>;

namespace {

const ConfirmationId first{SequentialIds::nth(101)};
const ConfirmationId second{SequentialIds::nth(102)};

const AttendeeRegistered registered{"ada@example.org"};
const EmailChangeRequested requested{"lovelace@example.net", first};

/// The last event raised, or the refusal.
template <class Aggregate>
std::string outcome_of(Aggregate& aggregate, const std::function<void(Aggregate&)>& behaviour)
{
    const auto before = aggregate.uncommitted_events().size();
    try {
        behaviour(aggregate);
    } catch (const RuleViolation& violation) {
        return violation.rule() + " " + violation.field() + ": " + violation.what();
    }
    if (aggregate.uncommitted_events().size() != before + 1) return "not one event";
    return std::visit([](const auto& event) { return describe(event); }, aggregate.uncommitted_events().back());
}

/// The same request to both forms.
struct Request {
    std::function<void(Attendee&)> to_aggregate;
    std::function<void(Decided&)> to_decider;
};

std::vector<Request> requests()
{
    std::vector<Request> all;
    for (const auto* const text : {"ada@example.org", "lovelace@example.net"}) {
        for (const auto& confirmation : {first, second}) {
            const auto email = Email::parse(text);
            all.push_back({[=](Attendee& a) { a.change_email(email, confirmation); },
                           [=](Decided& d) {
                               d.decide(RequestEmailChange{email, confirmation});
                           }});
        }
    }
    for (const auto& confirmation : {first, second, ConfirmationId{}}) {
        all.push_back({[=](Attendee& a) { a.confirm_email(confirmation); },
                       [=](Decided& d) { d.decide(ConfirmEmailChange{confirmation}); }});
    }
    for (const auto& reason : {std::string{" "}, std::string(501, 'x'), std::string{"other plans"}}) {
        all.push_back({[=](Attendee& a) { a.unregister(reason); }, [=](Decided& d) { d.decide(Unregister{reason}); }});
    }
    return all;
}

} // namespace

TEST_CASE("attendee as a decider: its rules")
{
    given<AttendeeDecider>().when(Register{Email::parse("ada@example.org")}).then(registered);
    given<AttendeeDecider>(registered)
        .when(RequestEmailChange{Email::parse("lovelace@example.net"), first})
        .then(requested);
    given<AttendeeDecider>(registered, requested)
        .when(ConfirmEmailChange{first})
        .then(EmailChangeConfirmed{"lovelace@example.net"});
    given<AttendeeDecider>(registered, requested)
        .when(ConfirmEmailChange{second})
        .then_throws<RuleViolation>(&RuleViolation::rule, "confirmation-mismatch");
}

TEST_CASE("attendee as a decider: both forms answer the same requests with the same events and refusals")
{
    const auto all = requests();
    std::mt19937 random{20260101}; // NOLINT: the same sequences in every run
    std::map<std::string, int> seen;
    for (int life = 0; life < 300; ++life) {
        const auto id = SequentialIds::nth(1);
        auto aggregate = Attendee::register_with(Attendee::Id{id}, Email::parse("ada@example.org"));
        Decided decider{Decided::Id{id}};
        decider.decide(Register{Email::parse("ada@example.org")});
        for (int step = 0; step < 12; ++step) {
            const auto& request = all[random() % all.size()];
            const auto expected = outcome_of(aggregate, request.to_aggregate);
            REQUIRE(outcome_of(decider, request.to_decider) == expected);
            ++seen[expected.substr(0, expected.find_first_of(" {"))];
        }
    }
    // The sequences have come to every event and every rule.
    for (const auto* const outcome :
         {"EmailChangeRequested", "EmailChangeConfirmed", "AttendeeUnregistered", "same-email", "nothing-to-confirm",
          "confirmation-mismatch", "invalid-reason", "already-unregistered"}) {
        INFO(outcome);
        CHECK(seen[outcome] > 0);
    }
}

TEST_CASE("attendee as a decider: both forms have the same limit")
{
    const auto id = SequentialIds::nth(1);
    const auto ada = Email::parse("ada@example.org");
    const auto other = Email::parse("lovelace@example.net");
    auto aggregate = Attendee::register_with(Attendee::Id{id}, ada);
    Decided decider{Decided::Id{id}};
    decider.decide(Register{ada});
    std::string last;
    for (std::size_t count = 0; count <= Attendee::max_email_changes; ++count) {
        last = outcome_of<Attendee>(aggregate, [&](Attendee& a) { a.change_email(other, first); });
        REQUIRE(outcome_of<Decided>(decider, [&](Decided& d) { d.decide(RequestEmailChange{other, first}); }) == last);
    }
    CHECK_THAT(last, Catch::StartsWith("too-many-email-changes"));
}

TEST_CASE("attendee as a decider: each form continues the streams of the other")
{
    escqrs::in_memory::EventStore store;
    const escqrs::Repository<Attendee, escqrs::in_memory::EventStore> aggregates{store};
    const escqrs::Repository<Decided, escqrs::in_memory::EventStore> deciders{store};

    auto attendee = Attendee::register_with(AttendeeId{SequentialIds::nth(1)}, Email::parse("ada@example.org"));
    attendee.change_email(Email::parse("lovelace@example.net"), first);
    aggregates.save(attendee);
    deciders.execute(Decided::Id{SequentialIds::nth(1)}, [](Decided& d) { d.decide(ConfirmEmailChange{first}); });
    aggregates.execute(attendee.id(), [](Attendee& a) { a.unregister("other plans"); });
    const auto state = deciders.get(Decided::Id{SequentialIds::nth(1)}).state();
    CHECK(state.email == "lovelace@example.net");
    CHECK(state.unregistered);
}
