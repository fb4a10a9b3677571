// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "../sample.hpp"
#include "support/order.hpp"

#include <escqrs/codec/archive/binary.hpp>
#include <escqrs/codec/archive/json.hpp>
#include <escqrs/testing/catch2.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>

#if !defined(WITHOUT_BOOST_SERIALIZATION) // as scripts/portability defines it
#include "../route.hpp"

#include <boost/archive/basic_archive.hpp>
#endif

using escqrs::archive::Binary;
using escqrs::archive::Json;
using namespace sample;

// The files freeze the formats: what was stored yesterday must be readable for ever. If one of these tests fails, fix
// the archive, not the file; a new shape of a value gets a new file.
namespace {

std::string golden(const std::string& name)
{
    const auto path = std::filesystem::path{GOLDEN_FOLDER} / name;
    std::ifstream file{path, std::ios::binary};
    REQUIRE(file);
    std::string text{std::istreambuf_iterator<char>{file}, {}};
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
}

/// 32 bytes a line.
std::string hex(const std::vector<std::byte>& bytes)
{
    constexpr char digits[] = "0123456789abcdef";
    std::string text;
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        if (at != 0 && at % 32 == 0) text += '\n';
        text += digits[static_cast<unsigned>(bytes[at]) >> 4U];
        text += digits[static_cast<unsigned>(bytes[at]) & 0x0FU];
    }
    return text;
}

std::vector<std::byte> from_hex(const std::string& text)
{
    std::vector<std::byte> bytes;
    std::string pair;
    for (const char digit : text) {
        if (digit != '\n') pair += digit;
        if (pair.size() == 2) {
            bytes.push_back(static_cast<std::byte>(std::stoul(pair, nullptr, 16)));
            pair.clear();
        }
    }
    return bytes;
}

SampleId sample_id() { return SampleId::parse("123e4567-e89b-12d3-a456-426614174000"); }

Renamed renamed() { return {sample_id(), "Zoë", "Ann \"A\""}; }

Everything everything()
{
    Everything value;
    value.id = sample_id();
    value.text = std::string{"line\nnul\0€😀", 16};
    value.numbers = {true,
                     'z',
                     -128,
                     255,
                     -32768,
                     65535,
                     -2147483647 - 1,
                     4294967295U,
                     std::numeric_limits<std::int64_t>::min(),
                     std::numeric_limits<std::uint64_t>::max(),
                     u'€',
                     0.1F,
                     -1.0 / 3,
                     Colour::red};
    auto& containers = value.containers;
    containers.texts = {"", "a", std::string(130, 'x')};
    containers.integers = {1, -1};
    containers.flags = {true, false, true};
    containers.blob = {std::byte{0xDE}, std::byte{0xAD}, std::byte{0xBE}, std::byte{0xEF}};
    containers.three = {1, 2, 65535};
    containers.four_bytes = {std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
    containers.plain[0] = 5;
    containers.plain[1] = -6;
    containers.by_text = {{"a", 1}, {"b", 2}};
    containers.by_number = {{-1, "minus"}, {7, "seven"}};
    containers.many = {{"k", 1}, {"k", 2}};
    containers.points = {{"origin", {0, 0}}};
    containers.names = {"x", "y"};
    containers.pair = {"p", 3};
    containers.tuple = {4, true, "t"};
    containers.nothings.resize(2);
    value.note = "note";
    value.where = std::nullopt;
    value.choice = Point{1, 2};
    value.waited = std::chrono::milliseconds{1500};
    value.exact_wait = std::chrono::duration<double>{2.5};
    value.at = Micros{std::chrono::microseconds{1795428000123456}};
    value.day = std::chrono::sys_days{std::chrono::days{-1}};
    value.tree = {"root", {{"left", {}}, {"right", {{"leaf", {}}}}}};
    return value;
}

template <class T>
void check_binary(const std::string& file, const T& value)
{
    const std::string frozen = golden(file);
    CHECK(hex(encode<Binary>(value)) == frozen);
    CHECK(decode<T, Binary>(from_hex(frozen)) == value);
}

template <class T>
void check_json(const std::string& file, const T& value)
{
    const std::string frozen = golden(file);
    CHECK(text_of(encode<Json>(value)) == frozen);
    CHECK(decode<T, Json>(bytes_of(frozen)) == value);
}

} // namespace

TEST_CASE("golden: the binary format of a small event", "[archive][golden]")
{
    check_binary("renamed.binary.hex", renamed());
}

TEST_CASE("golden: the JSON of a small event", "[archive][golden]") { check_json("renamed.json", renamed()); }

TEST_CASE("golden: the binary format of every type", "[archive][golden]")
{
    check_binary("everything.binary.hex", everything());
}

TEST_CASE("golden: the JSON of every type", "[archive][golden]") { check_json("everything.json", everything()); }

#if !defined(WITHOUT_BOOST_SERIALIZATION)

// Boost writes the version of its format into each archive. An older Boost refuses the text; a newer one may write others.
TEST_CASE("golden: Boost's text and XML archives of an event with pointers", "[archive][golden][boost]")
{
    using escqrs::archive::BoostText;
    using escqrs::archive::BoostXml;
    constexpr unsigned written_by = 19;
    const auto check = [](const auto& format, const std::string& file) {
        using Format = std::remove_cvref_t<decltype(format)>;
        const auto of_this_boost = boost::archive::BOOST_ARCHIVE_VERSION();
        const auto ours = static_cast<unsigned>(of_this_boost);
        const std::string frozen = golden(file) + (std::is_same_v<Format, BoostXml> ? "\n\n" : "\n");
        if (ours == written_by) CHECK(text_of(encode<Format>(route::planned())) == frozen);
        if (ours >= written_by) CHECK(decode<route::RoutePlanned, Format>(bytes_of(frozen)) == route::planned());
        else if (std::is_same_v<Format, BoostText>)
            CHECK_THROWS_AS((decode<route::RoutePlanned, Format>(bytes_of(frozen))), escqrs::CodecError);
    };
    check(BoostText{}, "route.boost_text.txt");
    check(BoostXml{}, "route.boost.xml");
}

#endif

TEST_CASE("golden: the event that docs/serialization.md explains", "[archive][golden]")
{
    check_binary("order_placed.binary.hex", order::placed());
    check_json("order_placed.json", order::placed());
}
