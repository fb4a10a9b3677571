// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/mpl/bool.hpp>
#include <boost/mpl/int.hpp>
#include <boost/mpl/integral_c_tag.hpp>
#include <boost/serialization/level_enum.hpp>
#include <boost/serialization/tracking_enum.hpp>

namespace escqrs::inline v0::archive::detail {

/// Made on the spot around a reference, so it may be read into although it is const.
struct BoostWrapper {
    using type = boost::mpl::true_;
};

/// Only the value is stored: no class information, no version.
struct BoostValueOnly {
    using tag = boost::mpl::integral_c_tag;
    using type = boost::mpl::int_<boost::serialization::object_serializable>;
    static constexpr int value = type::value;
};

/// A temporary, so its address means nothing.
struct BoostUntracked {
    using tag = boost::mpl::integral_c_tag;
    using type = boost::mpl::int_<boost::serialization::track_never>;
    static constexpr int value = type::value;
};

} // namespace escqrs::inline v0::archive::detail
