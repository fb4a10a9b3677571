// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// Include this to use escqrs::field and the ids with the archives of Boost.Serialization, other than by way of
// archive::BoostText and archive::BoostXml, which include it. The library's own archives do not need it.

#include <escqrs/codec/archive/detail/boost_traits.hpp>
#include <escqrs/core/error.hpp>
#include <escqrs/core/identifiers.hpp>
#include <escqrs/core/text_id.hpp>
#include <escqrs/domain/event.hpp>

#include <boost/serialization/level.hpp>
#include <boost/serialization/nvp.hpp>
#include <boost/serialization/string.hpp>
#include <boost/serialization/tracking.hpp>
#include <boost/serialization/wrapper.hpp>
#include <boost/uuid/uuid_io.hpp>
#include <boost/uuid/uuid_serialize.hpp>

#include <string>

namespace boost::serialization {

template <class T>
struct is_wrapper<escqrs::Field<T>> : escqrs::archive::detail::BoostWrapper {};
template <class T>
struct is_wrapper<const escqrs::Field<T>> : escqrs::archive::detail::BoostWrapper {};
template <class T>
struct implementation_level<escqrs::Field<T>> : escqrs::archive::detail::BoostValueOnly {};
template <class T>
struct implementation_level<const escqrs::Field<T>> : escqrs::archive::detail::BoostValueOnly {};
template <class T>
struct tracking_level<escqrs::Field<T>> : escqrs::archive::detail::BoostUntracked {};
template <class T>
struct tracking_level<const escqrs::Field<T>> : escqrs::archive::detail::BoostUntracked {};

/// A field is a name-value pair, which is what Boost's XML archives take; its other archives leave the name out.
template <class Archive, class T>
void serialize(Archive& archive, escqrs::Field<T>& field, const unsigned /*version*/)
{
    archive & make_nvp(field.name(), field.value());
}

/// An id is its UUID, by a name that Boost's XML archives need.
template <class Archive, class Tag>
void serialize(Archive& archive, escqrs::Id<Tag>& id, const unsigned /*version*/)
{
    escqrs::Uuid uuid = id.value();
    archive & make_nvp("uuid", uuid);
    id = escqrs::Id<Tag>{uuid};
}

/// Likewise, an id that is a text.
/// @throws escqrs::CodecError if what is read is not such a text
template <class Archive, class Tag>
void serialize(Archive& archive, escqrs::TextId<Tag>& id, const unsigned /*version*/)
{
    std::string text = id.value();
    archive & make_nvp("text", text);
    if constexpr (Archive::is_loading::value) id = escqrs::TextId<Tag>::from_stored(text);
}

} // namespace boost::serialization
