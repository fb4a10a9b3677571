// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// command/   a whole command in memory: load 10 events, decide, append 1
#include "support/attendee.hpp"
#include "support/by_hand.hpp"
#include "support/repeat.hpp"

#include <escqrs/codec/codec.hpp>
#include <escqrs/commands/command_bus.hpp>
#include <escqrs/commands/repository.hpp>
#include <escqrs/in_memory/event_store.hpp>

#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace benchmarks;
using Store = escqrs::in_memory::EventStore;
using Attendees = escqrs::Repository<Attendee, Store>;

constexpr std::int64_t streams = 1000;
constexpr std::uint64_t events_before = 10;

struct ChangeEmail {
    Attendee::Id attendee_id;
    std::string email;
};

std::vector<ChangeEmail> fill(Store& store)
{
    const Attendees attendees{store};
    std::vector<ChangeEmail> commands;
    for (std::int64_t stream = 0; stream <= streams; ++stream) { // one is for the first call, outside the loop
        Attendee attendee{Attendee::Id{escqrs::time_ordered_uuid()}};
        attendee.register_as("Ada Lovelace, Countess", "ada@example.org");
        for (std::uint64_t event = 1; event < events_before; ++event)
            attendee.change_email("ada.lovelace@example.org", event);
        attendees.save(attendee);
        commands.push_back({attendee.id(), "countess.of.lovelace@example.org"});
    }
    return commands;
}

/// Each stream gets one command, so that all of them find 10 events.
template <class Handle>
void handle_each_once(benchmark::State& state, const std::vector<ChangeEmail>& commands, Handle handle)
{
    std::size_t next = 0;
    repeat(state, [&] { handle(commands[next++]); });
}

void command_through_bus(benchmark::State& state)
{
    Store store;
    const auto commands = fill(store);
    const Attendees attendees{store};
    escqrs::CommandBus bus;
    bus.handle<ChangeEmail>([&](const ChangeEmail& command, const escqrs::Metadata& metadata) {
        return attendees.execute(
            command.attendee_id,
            [&](Attendee& attendee) { attendee.change_email(command.email, attendee.state().code + 1); }, metadata);
    });
    handle_each_once(state, commands, [&](const ChangeEmail& command) { bus.send(command); });
}
BENCHMARK(command_through_bus)->Name("command/escqrs")->Iterations(streams);

/// The same over the same store, with nothing abstract in it.
void change_email_by_hand(Store& store, const ChangeEmail& command)
{
    const escqrs::StreamId stream{Attendee::category, command.attendee_id.value()};
    State attendee;
    escqrs::StreamVersion version;
    Registered registered;
    EmailChanged changed;
    store.read_stream(stream, escqrs::StreamVersion{1}, [&](const escqrs::RecordedEvent& event) {
        const by_hand::Reader reader{event.payload};
        if (event.type == EmailChanged::event_name) {
            by_hand::decode(reader, changed);
            attendee.apply(changed);
        } else if (event.type == Registered::event_name) {
            by_hand::decode(reader, registered);
            attendee.apply(registered);
        } else {
            throw std::runtime_error{"type"};
        }
        version = event.version;
        return true;
    });
    changed.email = command.email;
    changed.code = attendee.code + 1;
    attendee.apply(changed);
    std::vector<std::byte> payload;
    by_hand::encode(changed, payload);
    const escqrs::NewEvent event{escqrs::EventId{escqrs::time_ordered_uuid()},
                                 EmailChanged::event_name,
                                 0,
                                 escqrs::archive::Binary::content_type,
                                 payload,
                                 {}};
    store.append(stream, escqrs::ExpectedVersion::exactly(version), {&event, 1});
}

void command_by_hand(benchmark::State& state)
{
    Store store;
    const auto commands = fill(store);
    handle_each_once(state, commands, [&](const ChangeEmail& command) { change_email_by_hand(store, command); });
}
BENCHMARK(command_by_hand)->Name("command/by_hand")->Iterations(streams);

} // namespace

BENCHMARK_MAIN();
