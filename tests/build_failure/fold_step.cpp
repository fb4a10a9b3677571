// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: the step of this fold takes no (State, const E&), or returns no State
#include <escqrs/codec/fold.hpp>
#include <escqrs/store/any_event_store.hpp>

#include <string_view>

struct DoorOpened {
    static constexpr std::string_view event_name = "DoorOpened";
    template <class Archive>
    void serialize(Archive&, unsigned)
    {
    }
};

struct DoorClosed {
    static constexpr std::string_view event_name = "DoorClosed";
    template <class Archive>
    void serialize(Archive&, unsigned)
    {
    }
};

#ifdef OFFENDING
using Step = int (*)(int, const DoorClosed&);
#else
struct Step {
    int operator()(int count, const DoorOpened&) const { return count + 1; }
    int operator()(int count, const DoorClosed&) const { return count; }
};
#endif

int times_opened(escqrs::AnyEventStore& store, const escqrs::StreamId& door, const Step& step)
{
    return escqrs::fold<escqrs::EventList<DoorOpened, DoorClosed>>(store, door, 0, step);
}
