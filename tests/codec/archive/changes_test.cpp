// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "sample.hpp"

#include <escqrs/codec/archive/binary.hpp>
#include <escqrs/codec/archive/json.hpp>
#include <escqrs/testing/catch2.hpp>

#include <deque>

using escqrs::CodecError;
using escqrs::archive::Binary;
using escqrs::archive::Json;
using namespace sample;

// What docs/serialization.md says of old bytes when a shape changes and its schema version does not.
namespace {

template <class T>
struct One {
    T a{};

    template <class Archive>
    void serialize(Archive& archive, unsigned)
    {
        archive & field("a", a);
    }
    friend bool operator==(const One&, const One&) = default;
};

template <class T>
struct OneNamedB {
    T b{};

    template <class Archive>
    void serialize(Archive& archive, unsigned)
    {
        archive & field("b", b);
    }
    friend bool operator==(const OneNamedB&, const OneNamedB&) = default;
};

template <class T, class U>
struct Two {
    T a{};
    U b{};

    template <class Archive>
    void serialize(Archive& archive, unsigned)
    {
        archive & field("a", a) & field("b", b);
    }
    friend bool operator==(const Two&, const Two&) = default;
};

template <class T, class U>
struct Reordered {
    T a{};
    U b{};

    template <class Archive>
    void serialize(Archive& archive, unsigned)
    {
        archive & field("b", b) & field("a", a);
    }
    friend bool operator==(const Reordered&, const Reordered&) = default;
};

/// True if the new shape reads `now` from what the old one wrote.
template <class Format, class Now, class Before>
bool reads(const Before& before, const Now& now)
{
    return decode<Now, Format>(encode<Format>(before)) == now;
}

template <class Format, class Now, class Before>
bool refuses(const Before& before)
{
    try {
        decode<Now, Format>(encode<Format>(before));
    } catch (const CodecError&) {
        return true;
    }
    return false;
}

enum class Light : std::uint8_t { red, green };
enum class MoreLight : std::uint8_t { red, green, amber };
enum class WideLight : std::uint16_t { red, green };

using Text = std::string;
using Int32 = std::int32_t;
using Int64 = std::int64_t;
template <class T>
using Optional = std::optional<T>;

} // namespace

TEST_CASE("changes: a field is added or removed", "[archive][changes]")
{
    CHECK(refuses<Binary, Two<Text, Text>>(One<Text>{"x"}));
    CHECK(refuses<Json, Two<Text, Text>>(One<Text>{"x"}));
    CHECK(refuses<Binary, Two<Text, Optional<Text>>>(One<Text>{"x"}));
    CHECK(reads<Json>(One<Text>{"x"}, Two<Text, Optional<Text>>{"x", {}}));

    CHECK(refuses<Binary, One<Text>>(Two<Text, Text>{"x", "y"}));
    CHECK(reads<Json>(Two<Text, Text>{"x", "y"}, One<Text>{"x"}));
}

TEST_CASE("changes: a field is renamed or moved", "[archive][changes]")
{
    CHECK(reads<Binary>(One<Text>{"x"}, OneNamedB<Text>{"x"}));
    CHECK(refuses<Json, OneNamedB<Text>>(One<Text>{"x"}));
    CHECK(reads<Json>(One<Optional<Text>>{"x"}, OneNamedB<Optional<Text>>{})); // lost

    CHECK(reads<Binary>(Two<Text, Text>{"x", "y"}, Reordered<Text, Text>{"y", "x"})); // exchanged
    CHECK(refuses<Binary, Reordered<Text, Int64>>(Two<Text, Int64>{"x", 7}));
    CHECK(reads<Json>(Two<Text, Int64>{"x", 7}, Reordered<Text, Int64>{"x", 7}));
}

TEST_CASE("changes: a number is widened or narrowed", "[archive][changes]")
{
    CHECK(refuses<Binary, One<Int64>>(One<Int32>{7}));
    CHECK(reads<Binary>(Two<Int32, Int32>{7, 1}, One<Int64>{7 + (Int64{1} << 32)})); // two of them, taken for one
    CHECK(reads<Json>(One<Int32>{7}, One<Int64>{7}));
    CHECK(reads<Json>(One<Int64>{7}, One<Int32>{7}));
    CHECK(refuses<Json, One<Int32>>(One<Int64>{Int64{1} << 32}));
    CHECK(reads<Json>(One<Int32>{7}, One<double>{7}));
    CHECK(refuses<Json, One<Int32>>(One<double>{7.5}));
    CHECK(reads<Binary>(One<Int32>{-1}, One<std::uint32_t>{4294967295U})); // reread without its sign
    CHECK(refuses<Json, One<std::uint32_t>>(One<Int32>{-1}));
}

TEST_CASE("changes: an enumeration gets enumerators or another type", "[archive][changes]")
{
    CHECK(reads<Binary>(One<Light>{Light::green}, One<MoreLight>{MoreLight::green}));
    CHECK(reads<Json>(One<Light>{Light::green}, One<MoreLight>{MoreLight::green}));
    // An older program reads the number of an enumerator that it does not have.
    CHECK(reads<Binary>(One<MoreLight>{MoreLight::amber}, One<Light>{static_cast<Light>(2)}));
    CHECK(reads<Json>(One<MoreLight>{MoreLight::amber}, One<Light>{static_cast<Light>(2)}));

    CHECK(refuses<Binary, One<WideLight>>(One<Light>{Light::green}));
    CHECK(reads<Json>(One<Light>{Light::green}, One<WideLight>{WideLight::green}));
}

TEST_CASE("changes: a value becomes optional or mandatory", "[archive][changes]")
{
    CHECK(refuses<Binary, One<Optional<Text>>>(One<Text>{"xy"}));
    CHECK(reads<Binary>(One<Text>{Text{'\0'}}, One<Optional<Text>>{Text{}})); // its length taken for a boolean
    CHECK(reads<Json>(One<Text>{"x"}, One<Optional<Text>>{"x"}));

    CHECK(reads<Binary>(One<Optional<Text>>{}, One<Text>{})); // no value taken for a length of 0
    CHECK(reads<Json>(One<Optional<Text>>{"x"}, One<Text>{"x"}));
    CHECK(refuses<Json, One<Text>>(One<Optional<Text>>{}));
}

TEST_CASE("changes: a variant gets or moves alternatives", "[archive][changes]")
{
    using Before = std::variant<Int32, Text>;
    CHECK(reads<Binary>(One<Before>{"x"}, One<std::variant<Int32, Text, bool>>{Text{"x"}}));
    CHECK(reads<Json>(One<Before>{"x"}, One<std::variant<Int32, Text, bool>>{Text{"x"}}));
    CHECK(refuses<Binary, One<Before>>(One<std::variant<Int32, Text, bool>>{true}));
    CHECK(refuses<Json, One<Before>>(One<std::variant<Int32, Text, bool>>{true}));
    CHECK(refuses<Json, One<std::variant<Text, Int32>>>(One<Before>{"x"}));
}

TEST_CASE("changes: a time or a duration is counted in another unit", "[archive][changes]")
{
    using namespace std::chrono;
    CHECK(reads<Binary>(One<seconds>{90s}, One<milliseconds>{90ms})); // the same number
    CHECK(reads<Json>(One<seconds>{90s}, One<milliseconds>{90ms}));
    using Seconds = sys_seconds;
    using Millis = sys_time<milliseconds>;
    CHECK(reads<Binary>(One<Seconds>{Seconds{90s}}, One<Millis>{Millis{90ms}}));
    CHECK(reads<Json>(One<Seconds>{Seconds{90s}}, One<Millis>{Millis{90s}}));
    CHECK(refuses<Json, One<Seconds>>(One<Millis>{Millis{90ms}}));
}

TEST_CASE("changes: a container becomes another one", "[archive][changes]")
{
    using Numbers = std::vector<Int32>;
    CHECK(reads<Binary>(One<Numbers>{{1, 2}}, One<std::deque<Int32>>{{1, 2}}));
    CHECK(reads<Binary>(One<Numbers>{{1, 2}}, One<std::set<Int32>>{{1, 2}}));
    CHECK(reads<Json>(One<Numbers>{{1, 2}}, One<std::set<Int32>>{{1, 2}}));
    CHECK(refuses<Binary, One<std::set<Int32>>>(One<Numbers>{{1, 1}}));
    CHECK(refuses<Json, One<std::set<Int32>>>(One<Numbers>{{1, 1}}));
    CHECK(reads<Binary>(One<std::map<Text, Int32>>{{{"k", 1}}}, One<std::unordered_map<Text, Int32>>{{{"k", 1}}}));
    CHECK(reads<Json>(One<std::map<Text, Int32>>{{{"k", 1}}}, One<std::unordered_map<Text, Int32>>{{{"k", 1}}}));
    CHECK(refuses<Json, One<std::array<Int32, 3>>>(One<std::array<Int32, 2>>{{1, 2}}));
    CHECK(refuses<Binary, One<std::array<Int32, 3>>>(One<std::array<Int32, 2>>{{1, 2}}));
    const Text id = "123e4567-e89b-12d3-a456-426614174000";
    CHECK(reads<Json>(One<Text>{id}, One<SampleId>{SampleId::parse(id)}));
    CHECK(refuses<Binary, One<SampleId>>(One<Text>{id}));
}
