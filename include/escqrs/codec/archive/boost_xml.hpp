// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// Costly to compile, so no umbrella includes it. Needs the compiled library: link Boost::serialization.
#include <escqrs/codec/archive/detail/boost_archive.hpp>
#include <escqrs/codec/archive/detail/boost_xml_input.hpp>

#include <boost/archive/xml_oarchive.hpp>

#include <string_view>

namespace escqrs::inline v0::archive {

namespace detail {
inline constexpr BoostForm boost_xml{"Boost XML archive", "<?xml ", "\n</boost_serialization>\n\n", true};
} // namespace detail

/// Boost.Serialization's XML archive, for a `Codec`: as `BoostText`, but with the name of each field.
///
/// Each value needs a name: `escqrs::field` or `boost::serialization::make_nvp`. Names are those of XML elements:
/// letters, digits, `_`, `-`, `.` and `:`. Fields stand in the order in which `serialize` names them, and a name that
/// differs is refused.
///
/// A class that a pointer to its base leads to must be exported in a file that includes this header. What `BoostText`
/// says of versions, linking and numbers holds here too. A text with control characters other than
/// tab and line ends is refused when it is written: XML cannot hold them.
///
/// **Not for bytes from strangers**, for the reasons that `BoostText` gives.
struct BoostXml {
    /// Names the format in what is stored.
    static constexpr std::string_view content_type = "application/vnd.escqrs.boost+xml";
    /// Writes one event.
    using Output = detail::BoostOutput<boost::archive::xml_oarchive, detail::boost_xml>;
    /// Reads one event.
    using Input = detail::BoostInput<detail::BoostXmlReader, detail::boost_xml>;
};

} // namespace escqrs::inline v0::archive
