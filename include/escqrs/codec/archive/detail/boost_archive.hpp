// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/codec/archive/boost.hpp>
#include <escqrs/codec/archive/detail/boost_streams.hpp>
#include <escqrs/codec/archive/kind.hpp>
#include <escqrs/core/error.hpp>

#include <boost/archive/basic_archive.hpp>
#include <boost/archive/iterators/dataflow_exception.hpp>
#include <boost/serialization/serialization.hpp>

#include <exception>
#include <istream>
#include <new>
#include <ostream>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace escqrs::inline v0::archive::detail {

/// A whole event: without a class version of its own, since the store keeps the schema version next to the bytes.
template <class T>
class BoostRoot {
public:
    BoostRoot(T& value, unsigned schema_version) noexcept : value_{&value}, schema_version_{schema_version} {}

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        require_all_fields<Archive, T>();
        boost::serialization::serialize_adl(archive, *value_, schema_version_);
    }

private:
    T* value_;
    unsigned schema_version_;
};

/// Lets pass what buffer and locale throw, which a stream swallows otherwise. Boost's destructors need a quiet stream.
class LoudStream {
public:
    explicit LoudStream(std::ostream& stream) : stream_{&stream} { stream_->exceptions(std::ios_base::badbit); }
    ~LoudStream() { stream_->exceptions(std::ios_base::goodbit); }
    LoudStream(const LoudStream&) = delete;
    LoudStream& operator=(const LoudStream&) = delete;

private:
    std::ostream* stream_;
};

/// Writes an event with one of Boost's archives.
template <class Archive, const BoostForm& form>
class BoostOutput {
public:
    /// Appends to `out`, which must outlive the archive.
    explicit BoostOutput(std::vector<std::byte>& out) noexcept : out_{&out} {}

    /// @throws CodecError if the archive cannot hold a value, or if Boost refuses it
    template <class T>
    void root(const T& value, unsigned schema_version)
    {
        BoostOutputBuffer buffer{*out_, form};
        std::ostream stream{nullptr};
        stream.imbue(boost_locale());
        stream.rdbuf(&buffer);
        try {
            Archive archive{stream, boost::archive::no_codecvt};
            const LoudStream loud{stream};
            const BoostRoot<T> event{const_cast<T&>(value), schema_version}; // NOLINT: one serialize reads and writes
            archive << boost::serialization::make_nvp("event", event);
        } catch (const boost::archive::archive_exception& error) {
            fail_boost_writing(form, refused_by_boost(error));
        }
        if (!buffer.text().ends_with(form.last)) fail_boost_writing(form, "an exception is in flight");
    }

private:
    std::vector<std::byte>* out_;
};

/// Reads an event with one of Boost's archives.
template <class Archive, const BoostForm& form>
class BoostInput {
public:
    /// @param bytes  must outlive the archive
    explicit BoostInput(std::span<const std::byte> bytes) noexcept : buffer_{bytes} {}

    /// @throws CodecError if the bytes are not such a value and nothing else; the text says what was expected and found
    /// @throws std::bad_alloc if there is no memory
    template <class T>
    void root(T& value, unsigned schema_version)
    {
        if (!buffer_.text().starts_with(form.first))
            fail_boost_reading(form, buffer_, "'" + std::string{form.first} + "'");
        std::istream stream{nullptr};
        stream.imbue(std::locale::classic());
        stream.rdbuf(&buffer_);
        try {
            Archive archive{stream, boost::archive::no_codecvt};
            BoostRoot<T> event{value, schema_version};
            archive >> boost::serialization::make_nvp("event", event);
            // Boost does not notice that a text ends too early, and ends the program if the last tag is missing.
            if (!stream) fail_boost_reading(form, buffer_, "more bytes");
            if (buffer_.rest() != form.last) fail_boost_reading(form, buffer_, "the end");
        } catch (const boost::archive::archive_exception& error) {
            fail_boost_reading(form, buffer_, expected_by_boost(error));
        } catch (const boost::archive::iterators::dataflow_exception& error) {
            fail_boost_reading(form, buffer_, std::string{"base64 ("} + error.what() + ")");
        } catch (const std::length_error& error) {
            fail_boost_reading(form, buffer_, std::string{"a smaller number of elements ("} + error.what() + ")");
        } catch (const std::bad_array_new_length& error) {
            fail_boost_reading(form, buffer_,
                               std::string{"a number of elements that fits into memory ("} + error.what() + ")");
        } catch (const CodecError&) {
            throw;
        } catch (const std::exception& error) { // of a type that refuses the value, as std::bitset refuses other digits
            if (classify(error) != FailureKind::refused) throw;
            fail_boost_reading(form, buffer_, std::string{"a value that its type takes ("} + error.what() + ")");
        }
    }

    /// `root` has made sure that no bytes are left.
    void finish() const noexcept {}

private:
    BoostInputBuffer buffer_;
};

} // namespace escqrs::inline v0::archive::detail

namespace boost::serialization {

template <class T>
struct is_wrapper<escqrs::archive::detail::BoostRoot<T>> : escqrs::archive::detail::BoostWrapper {};
template <class T>
struct is_wrapper<const escqrs::archive::detail::BoostRoot<T>> : escqrs::archive::detail::BoostWrapper {};
template <class T>
struct implementation_level<escqrs::archive::detail::BoostRoot<T>> : escqrs::archive::detail::BoostValueOnly {};
template <class T>
struct implementation_level<const escqrs::archive::detail::BoostRoot<T>> : escqrs::archive::detail::BoostValueOnly {};
template <class T>
struct tracking_level<escqrs::archive::detail::BoostRoot<T>> : escqrs::archive::detail::BoostUntracked {};
template <class T>
struct tracking_level<const escqrs::archive::detail::BoostRoot<T>> : escqrs::archive::detail::BoostUntracked {};

} // namespace boost::serialization
