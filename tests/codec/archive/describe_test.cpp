// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "sample.hpp"

#include <escqrs/codec/archive/binary.hpp>
#include <escqrs/codec/archive/boost.hpp>
#include <escqrs/codec/archive/json.hpp>
#include <escqrs/codec/codec.hpp>
#include <escqrs/codec/describe.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/fields_of.hpp>

#include <boost/archive/text_iarchive.hpp>
#include <boost/archive/text_oarchive.hpp>
#include <boost/serialization/optional.hpp>
#include <boost/serialization/string.hpp>
#include <boost/serialization/vector.hpp>

#include <sstream>

using escqrs::CodecError;
using escqrs::archive::Binary;
using escqrs::archive::Json;
using namespace sample;

namespace described_test {

enum class Condition { fine, worn, damaged };
BOOST_DESCRIBE_ENUM(Condition, fine, worn, damaged)

struct Copy {
    std::string title;
    Condition condition = Condition::fine;
};
BOOST_DESCRIBE_STRUCT(Copy, (), (title, condition))

struct BookLent {
    std::string reader;
    Copy copy;
    std::optional<int> fee;
    ESCQRS_EVENT(BookLent, (reader, copy, fee))
};

// Each twice: described, and by hand.
struct Shelf {
    std::uint16_t number = 0;
    std::vector<std::string> titles;
    friend bool operator==(const Shelf&, const Shelf&) = default;
    BOOST_DESCRIBE_CLASS(Shelf, (), (number, titles), (), ())
};
struct ShelvesMoved {
    std::string reader;
    std::optional<int> fee;
    Shelf from;
    std::map<std::string, Shelf> others;
    std::variant<int, Shelf> to;
    friend bool operator==(const ShelvesMoved&, const ShelvesMoved&) = default;
    ESCQRS_EVENT(ShelvesMoved, (reader, fee, from, others, to))
};

struct ShelfByHand {
    std::uint16_t number = 0;
    std::vector<std::string> titles;
    friend bool operator==(const ShelfByHand&, const ShelfByHand&) = default;
    void serialize(auto& archive, unsigned /*version*/) { archive & field("number", number) & field("titles", titles); }
};
struct ShelvesMovedByHand {
    static constexpr std::string_view event_name = "ShelvesMoved";
    std::string reader;
    std::optional<int> fee;
    ShelfByHand from;
    std::map<std::string, ShelfByHand> others;
    std::variant<int, ShelfByHand> to;
    friend bool operator==(const ShelvesMovedByHand&, const ShelvesMovedByHand&) = default;
    void serialize(auto& archive, unsigned /*version*/)
    {
        archive & field("reader", reader) & field("fee", fee) & field("from", from) & field("others", others) &
            field("to", to);
    }
};

ShelvesMoved moved() { return {"Zoë", {}, {7, {"Emma", "Ulysses"}}, {{"top", {9, {}}}}, Shelf{3, {"Kim"}}}; }
ShelvesMovedByHand moved_by_hand()
{
    return {"Zoë", {}, {7, {"Emma", "Ulysses"}}, {{"top", {9, {}}}}, ShelfByHand{3, {"Kim"}}};
}

struct LibraryClosed {
    friend bool operator==(const LibraryClosed&, const LibraryClosed&) = default;
    ESCQRS_EVENT(LibraryClosed, ())
};

// Described from outside; functions and static members are left out.
struct Place {
    int x = 0;
    int y = 0;
    static constexpr int dimensions = 2;
    int sum() const { return x + y; }
    friend bool operator==(const Place&, const Place&) = default;
};
BOOST_DESCRIBE_STRUCT(Place, (), (x, dimensions, y, sum))

struct Marker {};

/// With bases, one of them a template and one empty, and with fields of each access.
template <class T>
class Boxed {
public:
    T content{};
    friend bool operator==(const Boxed&, const Boxed&) = default;
    BOOST_DESCRIBE_CLASS(Boxed, (), (content), (), ())
};
class Parcel : public Boxed<Place>, public Marker {
public:
    std::string label;
    void weigh(int gross, int tare) { grams = gross, tare_ = tare; }
    friend bool operator==(const Parcel& left, const Parcel& right)
    {
        return left.content == right.content && left.label == right.label && left.grams == right.grams &&
               left.tare_ == right.tare_;
    }

protected:
    int grams = 0;

private:
    int tare_ = 0;
    BOOST_DESCRIBE_CLASS(Parcel, (Boxed<Place>, Marker), (label), (grams), (tare_))
};

// Described, but with a serialize, which takes precedence.
struct WithMember {
    int number = 0;
    void serialize(auto& archive, unsigned /*version*/) { archive & field("member", number); }
    BOOST_DESCRIBE_CLASS(WithMember, (), (number), (), ())
};
struct WithFinalMember final {
    int number = 0;
    void serialize(auto& archive, unsigned /*version*/) { archive & field("member", number); }
    BOOST_DESCRIBE_CLASS(WithFinalMember, (), (number), (), ())
};
class WithPrivateMember {
public:
    int number = 0;

private:
    friend boost::serialization::access;
    void serialize(auto& archive, unsigned /*version*/) { archive & field("private", number); }
    BOOST_DESCRIBE_CLASS(WithPrivateMember, (), (number), (), ())
};
struct WithFree {
    int number = 0;
    BOOST_DESCRIBE_CLASS(WithFree, (), (number), (), ())
};
void serialize(auto& archive, WithFree& value, unsigned /*version*/) { archive & field("free", value.number); }

/// The base of a described class, with a serialize that is private.
class Counted {
public:
    int count = 0;

private:
    friend boost::serialization::access;
    void serialize(auto& archive, unsigned /*version*/) { archive & field("counted", count); }
};
struct Crate final : Counted {
    std::string label;
    BOOST_DESCRIBE_CLASS(Crate, (Counted), (label), (), ())
};

/// Inherits a serialize, and has no field that it could miss.
struct Relabelled : WithMember {
    BOOST_DESCRIBE_CLASS(Relabelled, (WithMember), (), (), ())
};

enum class Rating : std::int8_t { poor = -1, good = 1, best = 2, great = 2 };
BOOST_DESCRIBE_ENUM(Rating, poor, good, best, great)

struct BookRated {
    enum Reason { boring, tedious = 5 };
    BOOST_DESCRIBE_NESTED_ENUM(Reason, boring, tedious)
    Rating rating = Rating::good;
    std::vector<Reason> reasons;
    std::map<Rating, int> counts;
    friend bool operator==(const BookRated&, const BookRated&) = default;
    ESCQRS_EVENT(BookRated, (rating, reasons, counts))
};

static_assert(std::is_aggregate_v<ShelvesMoved> && std::is_aggregate_v<LibraryClosed>);
static_assert(escqrs::event_name<ShelvesMoved>() == "ShelvesMoved" &&
              escqrs::event_name<LibraryClosed>() == "LibraryClosed");

} // namespace described_test

using namespace described_test;

TEMPLATE_TEST_CASE("described: the bytes are those of a serialize by hand", "[archive]", Binary, Json)
{
    const auto bytes = encode<TestType>(moved());
    CHECK(bytes == encode<TestType>(moved_by_hand()));
    CHECK(decode<ShelvesMoved, TestType>(encode<TestType>(moved_by_hand())) == moved());
    CHECK(decode<ShelvesMovedByHand, TestType>(bytes) == moved_by_hand());
}

TEST_CASE("described: fields have their names in JSON, in the order of the description", "[archive]")
{
    CHECK(text_of(encode<Json>(moved())) ==
          R"({"reader":"Zoë","fee":null,"from":{"number":7,"titles":["Emma","Ulysses"]},)"
          R"("others":{"top":{"number":9,"titles":[]}},"to":{"index":1,"value":{"number":3,"titles":["Kim"]}}})");
    CHECK(text_of(encode<Json>(BookLent{"Zoë", {"Emma", Condition::worn}, {}})) ==
          R"({"reader":"Zoë","copy":{"title":"Emma","condition":"worn"},"fee":null})");
    CHECK(text_of(encode<Json>(LibraryClosed{})) == "{}");
    CHECK(encode<Binary>(LibraryClosed{}).empty());
    CHECK(text_of(encode<Json>(Place{1, 2})) == R"({"x":1,"y":2})");
}

TEMPLATE_TEST_CASE("described: the fields of bases come first, whatever their access", "[archive]", Binary, Json)
{
    Parcel parcel;
    parcel.content = {1, 2};
    parcel.label = "glass";
    parcel.weigh(900, 40);
    CHECK(decode<Parcel, TestType>(encode<TestType>(parcel)) == parcel);
    CHECK(text_of(encode<Json>(parcel)) == R"({"content":{"x":1,"y":2},"label":"glass","grams":900,"tare_":40})");
}

TEST_CASE("described: a serialize takes precedence", "[archive]")
{
    CHECK(text_of(encode<Json>(WithMember{7})) == R"({"member":7})");
    CHECK(text_of(encode<Json>(WithFinalMember{7})) == R"({"member":7})");
    CHECK(text_of(encode<Json>(WithPrivateMember{})) == R"({"private":0})");
    CHECK(text_of(encode<Json>(WithFree{7})) == R"({"free":7})");
}

TEMPLATE_TEST_CASE("described: a base may have a serialize", "[archive]", Binary, Json)
{
    Crate crate;
    crate.count = 7;
    crate.label = "glass";
    CHECK(text_of(encode<Json>(crate)) == R"({"counted":7,"label":"glass"})");
    CHECK(decode<Crate, TestType>(encode<TestType>(crate)).count == 7);
    CHECK(text_of(encode<Json>(Relabelled{})) == R"({"member":0})");
}

TEST_CASE("described: a codec takes the events", "[archive]")
{
    const escqrs::Codec<escqrs::EventList<ShelvesMoved, LibraryClosed>> codec;
    const escqrs::Codec<escqrs::EventList<ShelvesMovedByHand>> by_hand;
    std::vector<std::byte> bytes;
    codec.encode(moved(), bytes);
    CHECK(std::get<0>(by_hand.decode({"ShelvesMoved", 0, codec.content_type, bytes}).at(0)) == moved_by_hand());
    CHECK(escqrs::testing::describe(LibraryClosed{}) == "LibraryClosed{}");
}

#if !defined(WITHOUT_BOOST_SERIALIZATION)

TEST_CASE("described: the archives of Boost read and write the fields", "[archive][boost]")
{
    const auto stored = [](const auto& value) {
        std::stringstream stream;
        boost::archive::text_oarchive{stream, boost::archive::no_header} << value;
        return stream.str();
    };
    const std::string text = stored(Shelf{7, {"Emma"}});
    CHECK(text == stored(ShelfByHand{7, {"Emma"}}));
    CHECK(stored(WithFinalMember{3}) == stored(WithMember{3}));
    std::stringstream stream{text};
    Shelf read;
    boost::archive::text_iarchive{stream, boost::archive::no_header} >> read;
    CHECK(read == Shelf{7, {"Emma"}});
}

#endif

TEMPLATE_TEST_CASE("described: an enumeration is read back from its name", "[archive]", Binary, Json)
{
    const BookRated rated{Rating::poor, {BookRated::tedious, BookRated::boring}, {{Rating::best, 3}}};
    CHECK(decode<BookRated, TestType>(encode<TestType>(rated)) == rated);
    CHECK(encode<TestType>(Rating::poor) == encode<TestType>(std::string{"poor"}));
    // Of two names for one value the first is written, and both are read: that is how to rename a value.
    CHECK(encode<TestType>(Rating::great) == encode<TestType>(std::string{"best"}));
    CHECK(decode<Rating, TestType>(encode<TestType>(std::string{"great"})) == Rating::best);
    const auto stored = encode<TestType>(std::vector<std::string>{"good", "poor"});
    CHECK(decode<std::vector<Rating>, TestType>(stored) == std::vector{Rating::good, Rating::poor});
}

TEST_CASE("described: an enumeration stands in JSON and in failed tests by its name", "[archive]")
{
    const BookRated rated{Rating::poor, {BookRated::tedious}, {{Rating::best, 3}}};
    CHECK(text_of(encode<Json>(rated)) == R"({"rating":"poor","reasons":["tedious"],"counts":[["best",3]]})");
    CHECK(escqrs::testing::describe(rated) == "BookRated{rating: poor, reasons: [tedious], counts: {best: 3}}");
    CHECK(escqrs::testing::describe(static_cast<Rating>(9)) == "9");
}

TEST_CASE("described: a value without a name and an unknown name are errors that say so", "[archive]")
{
    const BookRated rated{static_cast<Rating>(9), {}, {}};
    CHECK_THROWS_WITH(encode<Binary>(rated), "binary archive: cannot write in 'rating': expected a described value of "
                                             "an enumeration (poor, good, best, great), found 9");
    CHECK_THROWS_WITH(encode<Json>(rated), "JSON archive: cannot write in 'rating': expected a described value of an "
                                           "enumeration (poor, good, best, great), found 9");

    CHECK_THROWS_WITH((decode<Rating, Binary>(encode<Binary>(std::string{"go\nod"}))),
                      "binary archive: expected a described value of an enumeration (poor, good, best, great), found "
                      "'go od' at byte 1");
    CHECK_THROWS_WITH(
        (decode<Rating, Json>(encode<Json>(std::string{"bad"}))),
        "JSON archive: expected a described value of an enumeration (poor, good, best, great), found 'bad' at byte 0");

    // What was stored by number is refused, not misread.
    CHECK_THROWS_AS((decode<Rating, Json>(encode<Json>(1))), CodecError);
    CHECK_THROWS_AS((decode<Rating, Binary>(encode<Binary>(1))), CodecError);
    const std::byte torn[] = {std::byte{100}, std::byte{'g'}};
    escqrs::archive::BinaryInput input{torn};
    Rating read{};
    CHECK_THROWS_WITH(input.root(read, 0),
                      "binary archive: expected the name of an enumeration's value of 100 bytes, found 1 at byte 1");
}
