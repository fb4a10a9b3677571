// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// Include this to use escqrs::field with the text, binary and polymorphic archives of Boost.Serialization; they leave
// the name out. Boost's XML archives know only boost::serialization::make_nvp. The archives of escqrs do not need this.

#include <escqrs/domain/event.hpp>

#include <boost/mpl/bool.hpp>
#include <boost/mpl/int.hpp>
#include <boost/mpl/integral_c_tag.hpp>
#include <boost/serialization/level.hpp>
#include <boost/serialization/nvp.hpp>
#include <boost/serialization/tracking.hpp>
#include <boost/serialization/wrapper.hpp>

namespace boost::serialization {

/// A field is made on the spot around a reference, so it may be read into although it is const.
template <class T>
struct is_wrapper<escqrs::Field<T>> {
    using type = mpl::true_;
};
template <class T>
struct is_wrapper<const escqrs::Field<T>> {
    using type = mpl::true_;
};

/// Only the value is stored: no class information, no version.
template <class T>
struct implementation_level<escqrs::Field<T>> {
    using tag = mpl::integral_c_tag;
    using type = mpl::int_<object_serializable>;
    static constexpr int value = type::value;
};
template <class T>
struct implementation_level<const escqrs::Field<T>> : implementation_level<escqrs::Field<T>> {};

/// A field is a temporary, so its address means nothing.
template <class T>
struct tracking_level<escqrs::Field<T>> {
    using tag = mpl::integral_c_tag;
    using type = mpl::int_<track_never>;
    static constexpr int value = type::value;
};
template <class T>
struct tracking_level<const escqrs::Field<T>> : tracking_level<escqrs::Field<T>> {};

} // namespace boost::serialization
