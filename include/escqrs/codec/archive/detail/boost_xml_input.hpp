// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/codec/archive/detail/boost_reader.hpp>

#include <boost/archive/impl/basic_xml_iarchive.ipp>
#include <boost/archive/impl/xml_iarchive_impl.ipp>
#include <boost/archive/xml_archive_exception.hpp>
#include <boost/archive/xml_iarchive.hpp>

#include <istream>
#include <type_traits>
#include <utility>

namespace escqrs::inline v0::archive::detail {

/// Boost's XML archive, which believes no count that the bytes cannot hold, and compares names safely.
class BoostXmlReader : public boost::archive::xml_iarchive_impl<BoostXmlReader> {
    using Base = boost::archive::xml_iarchive_impl<BoostXmlReader>;

public:
    BoostXmlReader(std::istream& stream, unsigned flags) : Base{stream, flags} { init(); }

    template <class T>
    void load_override(T& value)
    {
        Base::load_override(value);
    }
    template <class T>
    void load_override(const boost::serialization::nvp<T>& named)
    {
        Base::load_override(named);
        if constexpr (std::is_same_v<T, boost::serialization::collection_size_type>)
            require_count(is, std::as_const(named.value()));
    }

    /// Boost's own reads beyond the end of `name` if the tag's is longer.
    void load_end(const char* name)
    {
        using boost::archive::xml_archive_exception;
        if (name == nullptr) return;
        if (!gimpl->parse_end_tag(is)) throw xml_archive_exception{xml_archive_exception::xml_archive_parsing_error};
        if (gimpl->rv.object_name != name)
            throw xml_archive_exception{xml_archive_exception::xml_archive_tag_mismatch, name};
    }
};

} // namespace escqrs::inline v0::archive::detail

BOOST_SERIALIZATION_REGISTER_ARCHIVE(escqrs::archive::detail::BoostXmlReader)
