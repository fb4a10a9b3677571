// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/codec/archive/binary.hpp>
#include <escqrs/codec/archive/json.hpp>
#include <escqrs/core/text_id.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/fields_of.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_set>
#include <vector>

using namespace escqrs;

namespace {

using Sku = TextId<struct SkuTag>;

std::string problem_of(std::string_view text)
{
    try {
        (void)Sku{text};
    } catch (const InvalidIdentifier& error) {
        return error.what();
    }
    return "";
}

struct Shelf {
    Sku sku;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & field("sku", sku);
    }
};

std::string json_of(const Shelf& shelf)
{
    std::vector<std::byte> bytes;
    archive::JsonOutput{bytes}.root(shelf, 0);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; // NOLINT: bytes as text
}

Shelf from_json(std::string_view json)
{
    Shelf shelf;
    archive::JsonInput input{{reinterpret_cast<const std::byte*>(json.data()), json.size()}}; // NOLINT: text as bytes
    input.root(shelf, 0);
    input.finish();
    return shelf;
}

} // namespace

TEST_CASE("text id: texts are compared, ordered, hashed and printed as they are")
{
    const Sku bolt{"BOLT-M6"};
    CHECK(to_string(bolt) == "BOLT-M6");
    CHECK(bolt.value() == "BOLT-M6");
    CHECK(Sku::parse("BOLT-M6") == bolt);
    CHECK(Sku{"BOLT-M8"} > bolt);
    CHECK(std::unordered_set<Sku>{bolt, Sku{"BOLT-M6"}, Sku{"NUT"}}.size() == 2);
    CHECK(Sku{}.is_nil());
    CHECK_FALSE(bolt.is_nil());
    STATIC_REQUIRE_FALSE(std::is_convertible_v<Sku, TextId<struct OtherTag>>);
    STATIC_REQUIRE_FALSE(std::is_convertible_v<std::string, Sku>);
    STATIC_REQUIRE_FALSE(std::is_reference_v<decltype(to_string(StreamId{"item", bolt.value()}))>);
    STATIC_REQUIRE_FALSE(std::is_reference_v<decltype(to_string(bolt))>); // it would dangle for an id made in the call
}

TEST_CASE("text id: a text that cannot name a stream is refused when the id is made")
{
    CHECK(problem_of("") == "not a text id: expected 1 to 96 bytes without control characters, found ''");
    CHECK(problem_of("a\tb") == "not a text id: expected 1 to 96 bytes without control characters, found 'a\\x09b'");
    CHECK(problem_of(std::string(97, 'x')) ==
          "not a text id: expected 1 to 96 bytes without control characters, found 97 bytes '" + std::string(96, 'x') +
              "'");
    CHECK(problem_of("Schl\xFCssel-\xC3\xBC") == "not a text id: expected UTF-8, found 'Schl\\xfcssel-\xC3\xBC'");
    CHECK(problem_of("Schl\xC3\xBCssel").empty());
    const Sku longest{std::string(96, 'x')};
    CHECK(StreamId{std::string(31, 'c'), longest.value()}.id() == longest.value());
}

TEST_CASE("text id: it is stored as a text, and read with the same rules")
{
    const Shelf shelf{Sku{"BOLT-M6"}};
    CHECK(json_of(shelf) == R"({"sku":"BOLT-M6"})");
    CHECK(from_json(json_of(shelf)).sku == shelf.sku);
    CHECK(from_json(json_of(Shelf{})).sku.is_nil());
    CHECK_THROWS_AS(from_json(R"({"sku":"a\u0001b"})"), CodecError);
    CHECK(testing::describe(shelf) == "Shelf{sku: 'BOLT-M6'}");

    std::vector<std::byte> as_id;
    archive::BinaryOutput{as_id}.root(shelf.sku, 0);
    std::vector<std::byte> as_text;
    archive::BinaryOutput{as_text}.root(shelf.sku.value(), 0);
    CHECK(as_id == as_text);
    Sku read;
    archive::BinaryInput input{as_id};
    input.root(read, 0);
    input.finish();
    CHECK(read == shelf.sku);
}
