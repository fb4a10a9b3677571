// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "sample.hpp"

#include <escqrs/codec/archive/binary.hpp>
#include <escqrs/codec/archive/json.hpp>
#include <escqrs/testing/catch2.hpp>

#include <map>
#include <optional>
#include <variant>
#include <vector>

using escqrs::CodecError;
using escqrs::archive::Binary;
using escqrs::archive::Json;
using namespace sample;

namespace {

enum Light { red, amber, green };
enum Answer { never = -3, maybe = 404, always = 1 << 20 };
enum Rights { may_read = 1, may_write = 2, may_run = 8 };
enum class Door { open, shut };                  // an int, all of which it may hold
enum Floor : unsigned char { cellar, roof = 9 }; // likewise

template <class>
struct Box {
    enum Kind { small, large };
};

} // namespace

TEMPLATE_TEST_CASE("enumerations: what they can hold is read back", "[archive]", Binary, Json)
{
    const auto holds = [](auto value) {
        using E = decltype(value);
        CHECK(decode<E, TestType>(encode<TestType>(value)) == value);
    };
    for (const Light light : {red, amber, green, static_cast<Light>(3)}) holds(light);
    for (const Answer answer : {never, maybe, always, static_cast<Answer>(0)}) holds(answer);
    for (const int rights : {0, 1, 3, 11, 15}) holds(static_cast<Rights>(rights));
    for (const int door : {0, 1, 77, -5}) holds(static_cast<Door>(door));
    for (const int floor : {0, 9, 255}) holds(static_cast<Floor>(floor));
    holds(Box<std::map<int, int>>::large);
}

TEMPLATE_TEST_CASE("enumerations: what they cannot hold is refused", "[archive]", Binary, Json)
{
    const auto refuses = [](auto value, auto number) {
        using E = decltype(value);
        const std::underlying_type_t<E> stored = number;
        CHECK_THROWS_AS((decode<E, TestType>(encode<TestType>(stored))), CodecError);
    };
    for (const unsigned number : {4U, 77U, 255U, 1U << 20, ~0U}) refuses(red, number);
    for (const int number : {(1 << 21), -(1 << 21) - 1}) refuses(maybe, number);
    refuses(may_read, 16U);
    refuses(Box<std::map<int, int>>::large, 2U);

    // Wherever they are.
    const auto bytes = encode<TestType>(std::vector<unsigned>{0, 77});
    CHECK_THROWS_AS((decode<std::vector<Light>, TestType>(bytes)), CodecError);
    CHECK_THROWS_AS((decode<std::array<Light, 2>, TestType>(encode<TestType>(std::array{0U, 77U}))), CodecError);
    CHECK_THROWS_AS((decode<std::optional<Light>, TestType>(encode<TestType>(std::optional{77U}))), CodecError);
    CHECK_THROWS_AS((decode<std::map<Light, int>, TestType>(encode<TestType>(std::map<unsigned, int>{{77U, 1}}))),
                    CodecError);
    using Stored = std::variant<unsigned, int>;
    CHECK_THROWS_AS((decode<std::variant<Light, int>, TestType>(encode<TestType>(Stored{77U}))), CodecError);
}

TEST_CASE("enumerations: the text says what they can hold", "[archive]")
{
    CHECK_THROWS_WITH((decode<Light, Json>(encode<Json>(77))),
                      "JSON archive: expected a value of an enumeration, from 0 to 3, found 77 (an enumeration with a "
                      "fixed underlying type holds them all) at byte 0");
    CHECK_THROWS_WITH(
        (decode<Answer, Binary>(encode<Binary>(2'000'000'000))),
        "binary archive: expected a value of an enumeration, from -2097152 to 2097151, found 2000000000 (an "
        "enumeration with a fixed underlying type holds them all) at byte 4");
}
