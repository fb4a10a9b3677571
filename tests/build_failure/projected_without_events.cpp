// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: this read model does not say which events it handles
#include <escqrs/testing/given_events.hpp>

struct DoorOpened {
    static constexpr std::string_view event_name = "DoorOpened";

    template <class Archive>
    void serialize(Archive&, unsigned)
    {
    }
};

struct OpenDoors {
#ifndef OFFENDING
    using Events = escqrs::EventList<DoorOpened>;
#endif
    void handle(const DoorOpened&, const escqrs::EventContext&) { ++count; }

    int count = 0;
};

int main()
{
    OpenDoors doors;
    escqrs::testing::given(DoorOpened{}).projected_by(doors).then(&OpenDoors::count, 1);
}
