// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "sample.hpp"

#include <escqrs/codec/archive/binary.hpp>
#include <escqrs/codec/archive/json.hpp>
#include <escqrs/testing/catch2.hpp>

#include <boost/serialization/access.hpp>
#include <boost/serialization/nvp.hpp>
#include <boost/serialization/serialization.hpp>
#include <boost/serialization/split_free.hpp>
#include <boost/serialization/split_member.hpp>
#include <boost/serialization/version.hpp>

using escqrs::archive::Binary;
using escqrs::archive::Json;
using namespace sample;

// Events written for Boost.Serialization, with its macros, work with the archives of escqrs as they are.
namespace {

struct WithNames {
    std::string email;
    int seats = 0;

    template <class Archive>
    void serialize(Archive& archive, unsigned)
    {
        archive & BOOST_SERIALIZATION_NVP(email) & boost::serialization::make_nvp("numberOfSeats", seats);
    }
    friend bool operator==(const WithNames&, const WithNames&) = default;
};

class Split {
public:
    Split() = default;
    explicit Split(int cents) : cents_{cents} {}
    friend bool operator==(const Split&, const Split&) = default;

private:
    friend class boost::serialization::access;

    template <class Archive>
    void save(Archive& archive, unsigned version) const
    {
        if (version >= 3) archive << boost::serialization::make_nvp("cents", cents_);
    }

    template <class Archive>
    void load(Archive& archive, unsigned version)
    {
        if (version >= 3) archive >> boost::serialization::make_nvp("cents", cents_);
        else cents_ = -1;
    }

    BOOST_SERIALIZATION_SPLIT_MEMBER()

    int cents_ = 0;
};

struct Base {
    int base = 0;
    template <class Archive>
    void serialize(Archive& archive, unsigned)
    {
        archive & BOOST_SERIALIZATION_NVP(base);
    }
};

struct Derived : Base {
    int own = 0;
    template <class Archive>
    void serialize(Archive& archive, unsigned)
    {
        archive.template register_type<Derived>();
        archive & BOOST_SERIALIZATION_BASE_OBJECT_NVP(Base) & BOOST_SERIALIZATION_NVP(own);
    }
};

/// Empty, but with a serialize, which writes something.
struct Marker {};
template <class Archive>
void serialize(Archive& archive, Marker&, unsigned)
{
    int mark = 7;
    archive & boost::serialization::make_nvp("mark", mark);
}

/// Empty, and so without a serialize, which Boost's own free one must not hide.
struct Nowhere {};
struct Journey {
    Nowhere to;

    template <class Archive>
    void serialize(Archive& archive, unsigned)
    {
        archive & BOOST_SERIALIZATION_NVP(to);
    }
};

} // namespace

namespace foreign {
struct Pair {
    int left = 0;
    int right = 0;
};
struct Halves {
    int left = 0;
};
} // namespace foreign

// As Boost's manual has it for types that one cannot change.
namespace boost::serialization {
template <class Archive>
void serialize(Archive& archive, foreign::Pair& pair, unsigned)
{
    archive & make_nvp("left", pair.left) & make_nvp("right", pair.right);
}
template <class Archive>
void save(Archive& archive, const foreign::Halves& halves, unsigned)
{
    archive << make_nvp("left", halves.left);
}
template <class Archive>
void load(Archive& archive, foreign::Halves& halves, unsigned)
{
    archive >> make_nvp("left", halves.left);
}
} // namespace boost::serialization
BOOST_SERIALIZATION_SPLIT_FREE(foreign::Halves)

TEST_CASE("boost: named values of Boost are fields", "[archive][boost]")
{
    const WithNames written{"a@example.org", 3};
    CHECK(text_of(encode<Json>(written)) == R"({"email":"a@example.org","numberOfSeats":3})");
    CHECK(decode<WithNames, Json>(encode<Json>(written)) == written);
    CHECK(decode<WithNames, Binary>(encode<Binary>(written)) == written);
}

TEST_CASE("boost: a private serialize that is split into save and load", "[archive][boost]")
{
    CHECK(text_of(encode<Json>(Split{5}, 3)) == R"({"cents":5})");
    CHECK(decode<Split, Json>(encode<Json>(Split{5}, 3), 3) == Split{5});
    CHECK(decode<Split, Binary>(encode<Binary>(Split{5}, 3), 3) == Split{5});
    CHECK(decode<Split, Binary>(encode<Binary>(Split{5}, 2), 2) == Split{-1});
}

TEST_CASE("boost: a base class is a field", "[archive][boost]")
{
    Derived written;
    written.base = 1;
    written.own = 2;
    CHECK(text_of(encode<Json>(written)) == R"({"Base":{"base":1},"own":2})");
    const auto read = decode<Derived, Binary>(encode<Binary>(written));
    CHECK(read.base == 1);
    CHECK(read.own == 2);
}

TEST_CASE("boost: a free serialize in the namespace of Boost is found", "[archive][boost]")
{
    CHECK(text_of(encode<Json>(foreign::Pair{1, 2})) == R"({"left":1,"right":2})");
    CHECK(decode<foreign::Pair, Binary>(encode<Binary>(foreign::Pair{1, 2})).right == 2);
    CHECK(decode<foreign::Halves, Binary>(encode<Binary>(foreign::Halves{7})).left == 7);
}

TEST_CASE("boost: an empty class needs no serialize, with Boost's headers as without", "[archive][boost]")
{
    CHECK(text_of(encode<Json>(Journey{})) == R"({"to":{}})");
    CHECK(encode<Binary>(Journey{}).empty());
}

TEST_CASE("boost: a free serialize of an empty class is called, with Boost's headers as without", "[archive][boost]")
{
    CHECK(text_of(encode<Json>(Marker{})) == R"({"mark":7})");
}
