// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "sample.hpp"

#include <escqrs/codec/archive/binary.hpp>
#include <escqrs/codec/archive/boost.hpp>
#include <escqrs/codec/archive/json.hpp>
#include <escqrs/testing/catch2.hpp>

#include <boost/archive/text_iarchive.hpp>
#include <boost/archive/text_oarchive.hpp>
#include <boost/serialization/string.hpp>
#include <boost/serialization/vector.hpp>
#include <boost/serialization/version.hpp>

#include <sstream>

using namespace sample;

// Needs the library boost_serialization.
namespace {

struct Booking {
    std::string email;
    std::vector<int> seats;
    std::string note;

    template <class Archive>
    void serialize(Archive& archive, unsigned version)
    {
        archive & field("email", email) & field("seats", seats);
        if (version >= 2) archive & field("note", note);
    }
    friend bool operator==(const Booking&, const Booking&) = default;
};

} // namespace

BOOST_CLASS_VERSION(Booking, 2)

TEST_CASE("boost: an event with escqrs::field passes through the text archives of Boost", "[archive][boost]")
{
    const Booking written{"a@example.org", {1, 2}, "vegan"};
    std::stringstream stream;
    {
        boost::archive::text_oarchive archive{stream};
        archive << written;
    }
    Booking read;
    boost::archive::text_iarchive archive{stream};
    archive >> read;
    CHECK(read == written);
}

TEST_CASE("boost: the class version of Boost is the schema version", "[archive][boost]")
{
    static_assert(escqrs::schema_version<Booking>() == 2);
    const Booking written{"a@example.org", {1, 2}, "vegan"};
    const auto bytes = encode<escqrs::archive::Json>(written, escqrs::schema_version<Booking>());
    CHECK(text_of(bytes) == R"({"email":"a@example.org","seats":[1,2],"note":"vegan"})");
    CHECK(decode<Booking, escqrs::archive::Json>(bytes, 2) == written);
}
