// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/domain/event.hpp>

#include <boost/describe/class.hpp>

/// A base class: described, or in the offending form with a serialize that knows nothing of derived classes.
struct Door {
    int door = 0;

#ifdef OFFENDING
    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("door", door);
    }
#else
    BOOST_DESCRIBE_CLASS(Door, (), (door), (), ())
#endif
};
