// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "email_changes.hpp"

#include "attendee_events.hpp"

namespace conference {
namespace {

using enum EmailChange::State;

/// What the events of one stream add up to.
struct Fold {
    std::vector<EmailChange> changes;

    void settle(EmailChange::State state)
    {
        if (!changes.empty() && changes.back().state == pending) changes.back().state = state;
    }

    void apply(const AttendeeRegistered&, escqrs::Timestamp) {}
    void apply(const EmailChangeRequested& event, escqrs::Timestamp at)
    {
        settle(replaced);
        changes.push_back({event.email, event.confirmation_id, at});
    }
    void apply(const EmailChangeConfirmed&, escqrs::Timestamp) { settle(confirmed); }
    void apply(const AttendeeUnregistered&, escqrs::Timestamp) { settle(ended); }
};

} // namespace

std::vector<EmailChange> email_changes(escqrs::AnyEventStore& store, const AttendeeId& id)
{
    const AttendeeCodec codec;
    AttendeeCodec::Scratch scratch;
    Fold fold;
    store.read_stream({Attendee::category, id.value()}, escqrs::StreamVersion{1},
                      [&](const escqrs::RecordedEvent& recorded) {
                          codec.decode(encoded(recorded), scratch,
                                       [&](const auto& event) { fold.apply(event, recorded.recorded_at); });
                          return true;
                      });
    return std::move(fold.changes);
}

} // namespace conference
