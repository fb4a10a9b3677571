// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "sample.hpp"

#include <escqrs/codec/archive/binary.hpp>
#include <escqrs/testing/catch2.hpp>

#include <deque>
#include <list>

using escqrs::CodecError;
using escqrs::archive::Binary;
using escqrs::archive::BinaryInput;
using escqrs::archive::BinaryOutput;
using namespace sample;

namespace {

std::vector<std::byte> raw(std::initializer_list<unsigned> values)
{
    std::vector<std::byte> bytes;
    for (const unsigned value : values) bytes.push_back(static_cast<std::byte>(value));
    return bytes;
}

template <class T>
std::string refusal(const std::vector<std::byte>& bytes)
{
    try {
        decode<T, Binary>(bytes);
    } catch (const CodecError& error) {
        return error.what();
    }
    return "accepted";
}

/// Passes what it was given as version on, to look at it.
struct Versioned {
    int old_field = 1;
    int new_field = 2;
    unsigned seen = 99;

    template <class Archive>
    void serialize(Archive& archive, unsigned version)
    {
        seen = version;
        archive & field("oldField", old_field);
        if (version >= 2) archive & field("newField", new_field);
    }
};

struct Wrapper {
    Versioned inner;
    template <class Archive>
    void serialize(Archive& archive, unsigned)
    {
        archive & field("inner", inner);
    }
};

struct RawBytes {
    std::array<char, 3> bytes{};
    template <class Archive>
    void serialize(Archive& archive, unsigned)
    {
        if constexpr (Archive::is_saving::value) archive.save_binary(bytes.data(), bytes.size());
        else archive.load_binary(bytes.data(), bytes.size());
    }
};

} // namespace

TEST_CASE("binary: every supported type reads back as it was written", "[archive][binary]")
{
    for (std::uint32_t seed = 0; seed < 300; ++seed) {
        INFO("seed " << seed);
        const Everything written = Generator{seed}.everything();
        const auto bytes = encode<Binary>(written);
        REQUIRE(decode<Everything, Binary>(bytes) == written);
    }
}

TEST_CASE("binary: values are written as documented", "[archive][binary]")
{
    CHECK(encode<Binary>(true) == raw({1}));
    CHECK(encode<Binary>(std::uint32_t{0x01020304}) == raw({4, 3, 2, 1}));
    CHECK(encode<Binary>(std::int16_t{-2}) == raw({0xFE, 0xFF}));
    CHECK(encode<Binary>(1.0) == raw({0, 0, 0, 0, 0, 0, 0xF0, 0x3F}));
    CHECK(encode<Binary>(std::string{"ab"}) == raw({2, 'a', 'b'}));
    CHECK(encode<Binary>(std::optional<bool>{}) == raw({0}));
    CHECK(encode<Binary>(std::optional{true}) == raw({1, 1}));
    CHECK(encode<Binary>(std::variant<int, bool>{true}) == raw({1, 1}));
    CHECK(encode<Binary>(std::vector<std::uint16_t>{1, 2}) == raw({2, 1, 0, 2, 0}));
    CHECK(encode<Binary>(std::chrono::seconds{-1}) == raw({0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}));
    const auto long_text = encode<Binary>(std::string(300, 'x'));
    CHECK(long_text.size() == 302);
    CHECK(std::vector<std::byte>(long_text.begin(), long_text.begin() + 2) == raw({0xAC, 0x02}));
}

TEST_CASE("binary: other sequences and duration types are served by their shape", "[archive][binary]")
{
    const std::deque<std::string> queue{"a", "b"};
    CHECK(decode<std::deque<std::string>, Binary>(encode<Binary>(queue)) == queue);
    const std::list<int> list{1, 2, 3};
    CHECK(decode<std::list<int>, Binary>(encode<Binary>(list)) == list);
    CHECK(decode<std::chrono::hours, Binary>(encode<Binary>(std::chrono::hours{5})) == std::chrono::hours{5});
    using Short = std::chrono::duration<std::int16_t>;
    CHECK_THROWS_AS((decode<Short, Binary>(encode<Binary>(std::chrono::seconds{40000}))), CodecError);
    using Unsigned = std::chrono::duration<std::uint64_t>;
    CHECK_THROWS_AS(encode<Binary>(Unsigned{std::numeric_limits<std::uint64_t>::max()}), CodecError);
    CHECK_THROWS_AS((decode<Unsigned, Binary>(encode<Binary>(std::chrono::seconds{-1}))), CodecError);
}

TEST_CASE("binary: an output appends, and writes nothing after the value", "[archive][binary]")
{
    std::vector<std::byte> bytes = raw({7, 8});
    for (const std::size_t length : {0U, 5U, 127U, 128U, 5000U, 200000U}) {
        const std::string text(length, 'x');
        const auto alone = encode<Binary>(text);
        auto expected = bytes;
        expected.insert(expected.end(), alone.begin(), alone.end());
        BinaryOutput{bytes}.root(text, 0);
        REQUIRE(bytes == expected);
    }
    std::vector<std::byte> piecewise;
    {
        BinaryOutput output{piecewise};
        output << std::uint8_t{1} << std::uint8_t{2};
        output& std::uint8_t{3};
    }
    CHECK(piecewise == raw({1, 2, 3}));
    BinaryInput input{piecewise};
    std::array<std::uint8_t, 3> read{};
    input >> read[0] >> read[1] & read[2];
    input.finish();
    CHECK(read == std::array<std::uint8_t, 3>{1, 2, 3});
}

TEST_CASE("binary: serialize is given the root's schema version at every level", "[archive][binary]")
{
    const auto old = encode<Binary>(Wrapper{}, 1);
    CHECK(old.size() == 4);
    CHECK(decode<Wrapper, Binary>(old, 1).inner.seen == 1);
    CHECK(encode<Binary>(Wrapper{}, 2).size() == 8);
}

TEST_CASE("binary: raw bytes pass as they are", "[archive][binary]")
{
    const auto bytes = encode<Binary>(RawBytes{{'a', 'b', 'c'}});
    CHECK(bytes == raw({'a', 'b', 'c'}));
    CHECK(decode<RawBytes, Binary>(bytes).bytes == std::array<char, 3>{'a', 'b', 'c'});
}

TEST_CASE("binary: an object that is read into again shows nothing of what it held", "[archive][binary]")
{
    Everything reused;
    for (std::uint32_t seed = 0; seed < 50; ++seed) {
        const Everything written = Generator{seed}.everything();
        decode_into<Binary>(reused, encode<Binary>(written));
        REQUIRE(reused == written);
    }
}

TEST_CASE("binary: a text that is read into again keeps its memory", "[archive][binary]")
{
    std::string text(100, 'x');
    const char* const memory = text.data();
    decode_into<Binary>(text, encode<Binary>(std::string(90, 'y')));
    CHECK(text == std::string(90, 'y'));
    CHECK(text.data() == memory);
}

TEST_CASE("binary: bytes written before may be written again", "[archive][binary]")
{
    std::vector<std::byte> bytes = raw({1, 2, 3, 4, 5});
    bytes.shrink_to_fit();
    BinaryOutput{bytes}.save_binary(bytes.data(), bytes.size()); // the memory moves meanwhile
    CHECK(bytes == raw({1, 2, 3, 4, 5, 1, 2, 3, 4, 5}));
}

TEST_CASE("binary: only the canonical form is read", "[archive][binary]")
{
    CHECK(refusal<bool>(raw({2})) == "binary archive: expected a boolean byte of 0 or 1, found 2 at byte 0");
    CHECK(refusal<std::optional<bool>>(raw({3})) ==
          "binary archive: expected a boolean byte of 0 or 1, found 3 at byte 0");
    CHECK(refusal<std::string>(raw({0x81, 0x00, 'a'})) ==
          "binary archive: expected a length in its shortest form, found 0 at byte 1");
    CHECK(refusal<std::string>(raw({0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02})) ==
          "binary archive: expected a length of 64 bits, found 2 at byte 9");
    CHECK(refusal<std::variant<int, bool>>(raw({2})) ==
          "binary archive: expected the number of a variant's alternative, found 2 at byte 0");
    CHECK(refusal<std::set<std::string>>(raw({2, 1, 'a', 1, 'a'})) ==
          "binary archive: expected distinct elements of a set, found one twice, at byte 5");
    CHECK(refusal<std::map<bool, bool>>(raw({2, 1, 1, 1, 0})) ==
          "binary archive: expected distinct keys of a map, found one twice, at byte 5");
}

TEST_CASE("binary: what is missing or left over is said", "[archive][binary]")
{
    CHECK(refusal<std::string>(raw({5, 'a', 'b'})) == "binary archive: expected a text of 5 bytes, found 2 at byte 1");
    CHECK(refusal<std::uint32_t>(raw({1, 2})) == "binary archive: expected an integer of 4 bytes, found 2 at byte 0");
    CHECK(refusal<bool>(raw({1, 1, 1})) == "binary archive: expected the end, found 2 more bytes at byte 1");
    CHECK(refusal<std::vector<std::uint64_t>>(raw({2, 0, 0})) ==
          "binary archive: expected a sequence of 2 elements, found only 2 bytes at byte 1");
}

TEST_CASE("binary: classes nest 64 deep and no deeper, both ways", "[archive][binary]")
{
    const auto chain = [](int depth) {
        Tree tree{"leaf", {}};
        for (int level = 1; level < depth; ++level) {
            Tree parent{"", {}};
            parent.children.push_back(std::move(tree));
            tree = std::move(parent);
        }
        return tree;
    };
    const Tree deepest = chain(64);
    CHECK(decode<Tree, Binary>(encode<Binary>(deepest)) == deepest);
    CHECK_THROWS_AS(encode<Binary>(chain(65)), CodecError);
    std::vector<std::byte> hostile;
    for (int level = 0; level < 100000; ++level) {
        hostile.push_back(std::byte{0});
        hostile.push_back(std::byte{1});
    }
    CHECK(refusal<Tree>(hostile) == "binary archive: expected classes nested at most 64 deep, found more at byte 128");
}

TEST_CASE("binary: elements that take no bytes are limited, both ways", "[archive][binary]")
{
    const std::vector<Nothing> most(65536);
    CHECK(decode<std::vector<Nothing>, Binary>(encode<Binary>(most)).size() == 65536);
    CHECK_THROWS_AS(encode<Binary>(std::vector<Nothing>(65537)), CodecError);
    CHECK_THROWS_AS((decode<std::vector<Nothing>, Binary>(raw({0xFF, 0xFF, 0xFF, 0x7F}))), CodecError);
    CHECK_THROWS_AS(encode<Binary>(std::vector<std::vector<Nothing>>(3, std::vector<Nothing>(30000))), CodecError);
}
