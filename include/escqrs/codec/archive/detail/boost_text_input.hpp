// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/codec/archive/detail/boost_reader.hpp>

#include <boost/archive/impl/basic_text_iarchive.ipp>
#include <boost/archive/impl/text_iarchive_impl.ipp>
#include <boost/archive/text_iarchive.hpp>

#include <cstddef>
#include <istream>
#include <string>
#include <utility>

namespace escqrs::inline v0::archive::detail {

/// Boost's text archive, which believes no count that the bytes cannot hold.
class BoostTextReader : public boost::archive::text_iarchive_impl<BoostTextReader> {
    using Base = boost::archive::text_iarchive_impl<BoostTextReader>;

public:
    BoostTextReader(std::istream& stream, unsigned flags) : Base{stream, flags} { init(); }

    template <class T>
    void load_override(T& value)
    {
        Base::load_override(value);
    }
    void load_override(boost::serialization::collection_size_type& count)
    {
        Base::load_override(count);
        require_count(is, std::as_const(count));
    }

    template <class T>
    void load(T& value)
    {
        Base::load(value);
    }
    void load(std::string& text) { load_text(text); }
    void load(std::wstring& text) { load_text(text); }

private:
    /// Boost writes the bytes of the characters as they are in memory.
    template <class Text>
    void load_text(Text& text)
    {
        std::size_t size = 0;
        Base::load(size);
        require_count(is, size);
        is.get(); // the blank between size and text
        text.resize(size);
        is.read(reinterpret_cast<char*>(text.data()), // NOLINT: char aliases
                static_cast<std::streamsize>(size * sizeof(typename Text::value_type)));
    }
};

} // namespace escqrs::inline v0::archive::detail

BOOST_SERIALIZATION_REGISTER_ARCHIVE(escqrs::archive::detail::BoostTextReader)
