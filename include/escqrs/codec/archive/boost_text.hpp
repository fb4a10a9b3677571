// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// Costly to compile, so no umbrella includes it. Needs the compiled library: link Boost::serialization.
#include <escqrs/codec/archive/detail/boost_archive.hpp>
#include <escqrs/codec/archive/detail/boost_text_input.hpp>

#include <boost/archive/text_oarchive.hpp>

#include <string_view>

namespace escqrs::inline v0::archive {

namespace detail {
inline constexpr BoostForm boost_text{"Boost text archive", "22 serialization::archive ", "\n", false};
} // namespace detail

/// Boost.Serialization's text archive, for a `Codec`: for events that hold what only Boost stores, such as
/// `std::shared_ptr`, pointers to base classes, or Boost's containers.
///
/// Include Boost's header for each such type, as `<boost/serialization/shared_ptr.hpp>`, and link
/// `Boost::serialization`. `escqrs::field` and ids work as in the library's own formats.
///
/// A class that a pointer to its base leads to must be exported with `BOOST_CLASS_EXPORT`, or
/// `BOOST_CLASS_EXPORT_IMPLEMENT`, in a file that includes this header: the library reads by an archive of its own.
///
/// The bytes are an archive with Boost's header, which holds the version of its format, so newer Boosts read what older
/// ones wrote, and older ones refuse what they do not know. They do not depend on the locale. The event's `serialize`
/// receives the event's schema version; classes nested in it receive their own `BOOST_CLASS_VERSION`, as Boost has it,
/// and not the event's version as in the library's own formats.
///
/// Numbers that are not finite are refused when they are written: Boost could not read them.
///
/// **Not for bytes from strangers.** Bytes that are cut short or followed by others are a `CodecError`, and so are a
/// count that the bytes cannot hold and most damage. Boost trusts the rest: a pointer's wrong object number may end the
/// program, a chain of pointers or nested classes may overflow the stack, an enumeration may get a value that it cannot
/// hold, and what a pointer leads to leaks when the bytes after it are refused.
struct BoostText {
    /// Names the format in what is stored.
    static constexpr std::string_view content_type = "application/vnd.escqrs.boost-text";
    /// Writes one event.
    using Output = detail::BoostOutput<boost::archive::text_oarchive, detail::boost_text>;
    /// Reads one event.
    using Input = detail::BoostInput<detail::BoostTextReader, detail::boost_text>;
};

} // namespace escqrs::inline v0::archive
