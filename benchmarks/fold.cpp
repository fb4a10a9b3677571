// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// fold/     events in memory into an aggregate's state, one event
// replay/   stored bytes into an aggregate's state, one event
#include "support/attendee.hpp"
#include "support/by_hand.hpp"
#include "support/repeat.hpp"

#include <escqrs/codec/codec.hpp>
#include <escqrs/domain/decider.hpp>

#include <functional>
#include <memory>
#include <tuple>
#include <typeindex>
#include <unordered_map>
#include <variant>

namespace {

using namespace benchmarks;
using Event = Attendee::Event;
constexpr std::size_t events_count = 1000;

const std::vector<Event>& events()
{
    static const std::vector<Event> all = history(events_count);
    return all;
}

/// Runs `work`, which goes through all events.
template <class Work>
void repeat_for_events(benchmark::State& state, Work work)
{
    repeat(state, work);
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(events_count));
}

void fold_by_hand(benchmark::State& state)
{
    State folded;
    repeat_for_events(state, [&] {
        for (const Event& event : events()) {
            switch (event.index()) {
            case 0: folded.apply(*std::get_if<0>(&event)); break;
            case 1: folded.apply(*std::get_if<1>(&event)); break;
            case 2: folded.apply(*std::get_if<2>(&event)); break;
            case 3: folded.apply(*std::get_if<3>(&event)); break;
            default: break;
            }
        }
        benchmark::DoNotOptimize(folded);
    });
}
BENCHMARK(fold_by_hand)->Name("fold/by_hand");

void fold_aggregate(benchmark::State& state)
{
    Attendee attendee{Attendee::Id{}};
    repeat_for_events(state, [&] {
        for (const Event& event : events()) {
            std::visit([&](const auto& typed) { escqrs::Access::replay(attendee, typed); }, event);
        }
        benchmark::DoNotOptimize(attendee);
    });
}
BENCHMARK(fold_aggregate)->Name("fold/escqrs");

struct Registration {
    static constexpr std::string_view category = "registration";
    using State = benchmarks::State;
    using Events = Attendee::EventTypes;

    static State initial() { return {}; }
    template <class E>
    static State evolve(State state, const E& event)
    {
        state.apply(event);
        return state;
    }
};

void fold_decider(benchmark::State& state)
{
    escqrs::Decided<Registration> registration{escqrs::DeciderId<Registration>{}};
    repeat_for_events(state, [&] {
        for (const Event& event : events()) {
            std::visit([&](const auto& typed) { escqrs::Access::replay(registration, typed); }, event);
        }
        benchmark::DoNotOptimize(registration);
    });
}
BENCHMARK(fold_decider)->Name("fold/escqrs_decider");

struct VirtualEvent {
    VirtualEvent() = default;
    VirtualEvent(const VirtualEvent&) = delete;
    VirtualEvent& operator=(const VirtualEvent&) = delete;
    virtual ~VirtualEvent() = default;
    virtual void apply_to(State& state) const = 0;
};

template <class E>
struct VirtualEventOf final : VirtualEvent {
    explicit VirtualEventOf(const E& given) : event{given} {}
    void apply_to(State& state) const override { state.apply(event); }
    E event;
};

std::vector<std::unique_ptr<VirtualEvent>> virtual_events()
{
    std::vector<std::unique_ptr<VirtualEvent>> result;
    for (const Event& event : events()) {
        std::visit([&]<class E>(const E& typed) { result.push_back(std::make_unique<VirtualEventOf<E>>(typed)); },
                   event);
    }
    return result;
}

void fold_virtual(benchmark::State& state)
{
    const auto all = virtual_events();
    State folded;
    repeat_for_events(state, [&] {
        for (const auto& event : all) event->apply_to(folded);
        benchmark::DoNotOptimize(folded);
    });
}
BENCHMARK(fold_virtual)->Name("fold/virtual");

void fold_dynamic_cast(benchmark::State& state)
{
    const auto all = virtual_events();
    State folded;
    const auto apply_if = [&]<class E>(const VirtualEvent* event, const E*) {
        const auto* const typed = dynamic_cast<const VirtualEventOf<E>*>(event);
        if (typed != nullptr) folded.apply(typed->event);
        return typed != nullptr;
    };
    repeat_for_events(state, [&] {
        for (const auto& event : all) {
            apply_if(event.get(), static_cast<const Registered*>(nullptr)) ||
                apply_if(event.get(), static_cast<const EmailChanged*>(nullptr)) ||
                apply_if(event.get(), static_cast<const EmailConfirmed*>(nullptr)) ||
                apply_if(event.get(), static_cast<const Unregistered*>(nullptr));
        }
        benchmark::DoNotOptimize(folded);
    });
}
BENCHMARK(fold_dynamic_cast)->Name("fold/dynamic_cast");

void fold_map(benchmark::State& state)
{
    const auto all = virtual_events();
    State folded;
    std::unordered_map<std::type_index, std::function<void(const VirtualEvent&)>> handlers;
    const auto add = [&]<class E>(const E*) {
        handlers[typeid(VirtualEventOf<E>)] = [&](const VirtualEvent& event) {
            folded.apply(static_cast<const VirtualEventOf<E>&>(event).event);
        };
    };
    add(static_cast<const Registered*>(nullptr));
    add(static_cast<const EmailChanged*>(nullptr));
    add(static_cast<const EmailConfirmed*>(nullptr));
    add(static_cast<const Unregistered*>(nullptr));
    repeat_for_events(state, [&] {
        for (const auto& event : all) {
            const VirtualEvent& plain = *event;
            handlers.find(typeid(plain))->second(plain);
        }
        benchmark::DoNotOptimize(folded);
    });
}
BENCHMARK(fold_map)->Name("fold/map_of_functions");

using Codec = escqrs::Codec<Attendee::EventTypes>;

/// The history as a store shows it.
class Stored {
public:
    Stored()
    {
        const Codec codec;
        bytes_.reserve(events_count);
        for (const Event& event : events()) {
            std::visit(
                [&]<class E>(const E& typed) {
                    codec.encode(typed, bytes_.emplace_back());
                    shown.push_back({E::event_name, 0, Codec::content_type, bytes_.back()});
                },
                event);
        }
    }
    std::vector<escqrs::EncodedEvent> shown;

private:
    std::vector<std::vector<std::byte>> bytes_;
};

const std::vector<escqrs::EncodedEvent>& stored()
{
    static const Stored all;
    return all.shown;
}

/// Decodes into one of the objects, and calls `use` with it.
template <class Use>
void decode_by_hand(const escqrs::EncodedEvent& event,
                    std::tuple<Registered, EmailChanged, EmailConfirmed, Unregistered>& to, Use use)
{
    if (event.schema_version != 0 || event.content_type != Codec::content_type) throw std::runtime_error{"version"};
    const by_hand::Reader reader{event.payload};
    const auto decoded = [&](auto& object) {
        by_hand::decode(reader, object);
        use(object);
    };
    if (event.type == Registered::event_name) decoded(std::get<0>(to));
    else if (event.type == EmailChanged::event_name) decoded(std::get<1>(to));
    else if (event.type == EmailConfirmed::event_name) decoded(std::get<2>(to));
    else if (event.type == Unregistered::event_name) decoded(std::get<3>(to));
    else throw std::runtime_error{"type"};
}

void replay_by_hand(benchmark::State& state)
{
    State folded;
    std::tuple<Registered, EmailChanged, EmailConfirmed, Unregistered> objects;
    repeat_for_events(state, [&] {
        for (const auto& event : stored()) {
            decode_by_hand(event, objects, [&](const auto& typed) { folded.apply(typed); });
        }
        benchmark::DoNotOptimize(folded);
    });
}
BENCHMARK(replay_by_hand)->Name("replay/by_hand");

void replay_by_hand_fresh(benchmark::State& state)
{
    State folded;
    repeat_for_events(state, [&] {
        for (const auto& event : stored()) {
            std::tuple<Registered, EmailChanged, EmailConfirmed, Unregistered> objects;
            decode_by_hand(event, objects, [&](const auto& typed) { folded.apply(typed); });
        }
        benchmark::DoNotOptimize(folded);
    });
}
BENCHMARK(replay_by_hand_fresh)->Name("replay/by_hand_fresh_objects");

void replay_vector_first(benchmark::State& state)
{
    State folded;
    repeat_for_events(state, [&] {
        std::vector<Event> all;
        for (const auto& event : stored()) {
            std::tuple<Registered, EmailChanged, EmailConfirmed, Unregistered> objects;
            decode_by_hand(event, objects, [&](auto& typed) { all.emplace_back(std::move(typed)); });
        }
        for (const Event& event : all) std::visit([&](const auto& typed) { folded.apply(typed); }, event);
        benchmark::DoNotOptimize(folded);
    });
}
BENCHMARK(replay_vector_first)->Name("replay/vector_first");

void replay_codec(benchmark::State& state)
{
    Attendee attendee{Attendee::Id{}};
    const Codec codec;
    Codec::Scratch scratch;
    repeat_for_events(state, [&] {
        for (const auto& event : stored()) {
            codec.decode(event, scratch, [&](const auto& typed) { escqrs::Access::replay(attendee, typed); });
        }
        benchmark::DoNotOptimize(attendee);
    });
}
BENCHMARK(replay_codec)->Name("replay/escqrs");

} // namespace

BENCHMARK_MAIN();
