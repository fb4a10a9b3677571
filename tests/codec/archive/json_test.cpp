// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "sample.hpp"

#include <escqrs/codec/archive/json.hpp>
#include <escqrs/testing/catch2.hpp>

using escqrs::CodecError;
using escqrs::archive::Json;
using escqrs::archive::JsonInput;
using escqrs::archive::JsonOutput;
using namespace sample;

namespace {

template <class T>
std::string json(const T& value)
{
    return text_of(encode<Json>(value));
}

template <class T>
T from(std::string_view text)
{
    return decode<T, Json>(bytes_of(text));
}

template <class T>
std::string refusal(std::string_view text)
{
    try {
        from<T>(text);
    } catch (const CodecError& error) {
        return error.what();
    }
    return "accepted";
}

template <class T>
std::string write_refusal(const T& value)
{
    try {
        encode<Json>(value);
    } catch (const CodecError& error) {
        return error.what();
    }
    return "accepted";
}

/// Runs a lambda as `serialize`.
template <class Body>
struct Scripted {
    Body body;
    template <class Archive>
    void serialize(Archive& archive, unsigned)
    {
        body(archive);
    }
};
template <class Body>
Scripted(Body) -> Scripted<Body>;

} // namespace

TEST_CASE("json: every supported type reads back as it was written", "[archive][json]")
{
    for (std::uint32_t seed = 0; seed < 300; ++seed) {
        INFO("seed " << seed);
        const Everything written = Generator{seed}.everything();
        REQUIRE(decode<Everything, Json>(encode<Json>(written)) == written);
    }
}

TEST_CASE("json: values are written as documented", "[archive][json]")
{
    CHECK(json(Point{1, -2}) == R"({"x":1,"y":-2})");
    CHECK(json(SampleId{}) == R"("00000000-0000-0000-0000-000000000000")");
    CHECK(json(Nothing{}) == "{}");
    CHECK(json(Colour::red) == "-1");
    CHECK(json('a') == "97");
    CHECK(json(std::numeric_limits<std::uint64_t>::max()) == "18446744073709551615");
    CHECK(json(0.1) == "0.1");
    CHECK(json(std::optional<int>{}) == "null");
    CHECK(json(std::vector<std::byte>(2)) == R"("AAA=")");
    CHECK(json(std::map<std::string, int>{{"b", 2}, {"a", 1}}) == R"({"a":1,"b":2})");
    CHECK(json(std::map<int, bool>{{1, true}}) == "[[1,true]]");
    CHECK(json(std::variant<int, bool>{true}) == R"({"index":1,"value":true})");
    CHECK(json(std::chrono::milliseconds{1500}) == "1500");
    CHECK(json(Micros{std::chrono::microseconds{1}}) == R"("1970-01-01T00:00:00.000001Z")");
    CHECK(json(std::chrono::sys_seconds{std::chrono::seconds{951782400}}) == R"("2000-02-29T00:00:00Z")");
    CHECK(json(std::string{"\"\\\b\f\n\r\t\x01/€"}) == R"("\"\\\b\f\n\r\t\u0001/€")");
}

TEST_CASE("json: fields may stand in any order, and unknown ones are ignored", "[archive][json]")
{
    CHECK(from<Point>(R"({"y":2,"x":1})") == Point{1, 2});
    CHECK(from<Point>(R"( { "a" : [ { "x" : 7 } ] , "x" : 1 , "b" : null , "y" : 2 , "c" : "}" } )") == Point{1, 2});
    CHECK(from<Point>(R"({"\u0078":1,"y":2})") == Point{1, 2});
    CHECK(from<Nothing>(R"({"a":1})") == Nothing{});
    const Renamed renamed{SampleId{}, "a", "b"};
    CHECK(from<Renamed>(R"({"to":"b","from":"a","id":"00000000-0000-0000-0000-000000000000"})") == renamed);
    CHECK(from<std::variant<int, bool>>(R"({"value":true,"index":1})") == std::variant<int, bool>{true});
}

TEST_CASE("json: a missing field is named, a missing optional is empty", "[archive][json]")
{
    CHECK(refusal<Point>(R"({"x":1})") == "JSON archive: field 'y' is missing; the object begins at byte 0");
    CHECK(refusal<std::vector<Point>>(R"([{"x":1,"y":2},{"y":2}])") ==
          "JSON archive: field 'x' is missing; the object begins at byte 15 in '[1]'");
    Renamed renamed{SampleId{}, "a", "stale"};
    decode_into<Json>(renamed, bytes_of(R"({"id":"00000000-0000-0000-0000-000000000000","from":"b"})"));
    CHECK(renamed.to == std::nullopt);
    renamed.to = "stale";
    decode_into<Json>(renamed, bytes_of(R"({"id":"00000000-0000-0000-0000-000000000000","from":"b","to":null})"));
    CHECK(renamed.to == std::nullopt);
}

TEST_CASE("json: a field that stands twice is refused", "[archive][json]")
{
    CHECK(refusal<Point>(R"({"x":1,"y":2,"x":3})") ==
          "JSON archive: expected distinct fields, found 'x' twice at byte 13");
    CHECK(refusal<Point>(R"({"a":1,"x":1,"y":2,"\u0061":3})") ==
          "JSON archive: expected distinct fields, found 'a' twice at byte 19");
    CHECK(refusal<std::map<std::string, int>>(R"({"a":1,"a":2})") ==
          "JSON archive: expected distinct keys of a map, found one twice at byte 7 in 'a'");
}

TEST_CASE("json: integers are exact and in range", "[archive][json]")
{
    CHECK(from<std::uint64_t>("18446744073709551615") == std::numeric_limits<std::uint64_t>::max());
    CHECK(from<std::int64_t>("-9223372036854775808") == std::numeric_limits<std::int64_t>::min());
    CHECK(from<std::int64_t>("9007199254740993") == 9007199254740993);
    CHECK(from<std::uint8_t>("-0") == 0);
    CHECK(refusal<std::uint64_t>("18446744073709551616") ==
          "JSON archive: expected an integer in the range of its type, found 18446744073709551616 at byte 0");
    CHECK(refusal<std::int8_t>("128") != "accepted");
    CHECK(refusal<std::int8_t>("-129") != "accepted");
    CHECK(refusal<std::uint8_t>("-1") == "JSON archive: expected a number that is not negative, found -1 at byte 0");
    CHECK(refusal<int>("1.0") == "JSON archive: expected an integer, found 1.0 at byte 0");
    CHECK(refusal<int>("1e2") != "accepted");
    CHECK(refusal<Colour>("200") != "accepted");
}

TEST_CASE("json: numbers read back to the same bits, and infinity is refused", "[archive][json]")
{
    CHECK(std::signbit(from<double>(json(-0.0))));
    CHECK(from<double>("1E+2") == 100.0);
    CHECK(from<float>("0.1") == 0.1F);
    CHECK(refusal<double>("1e999") != "accepted");
    CHECK(refusal<float>("1e39") != "accepted");
    CHECK(refusal<double>("NaN") == "JSON archive: expected a number, found 'N' at byte 0");
    CHECK(write_refusal(std::numeric_limits<double>::infinity()) ==
          "JSON archive: cannot write: the number is not finite");
    CHECK(write_refusal(std::numeric_limits<float>::quiet_NaN()) != "accepted");
}

TEST_CASE("json: text must be UTF-8, both ways", "[archive][json]")
{
    for (const std::string_view invalid :
         {"\x80", "\xC0\xAF", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80", "\xF4\x90\x80\x80",
          "\xF5\x80\x80\x80", "\xFF", "\xC3", "\xE2\x82", "\xF0\x9F\x98"}) {
        CHECK(write_refusal(std::string{"ab"}.append(invalid)) ==
              "JSON archive: cannot write: the text is not valid UTF-8 at its byte 2");
        CHECK(refusal<std::string>(std::string{"\"ab"}.append(invalid).append("\"")) ==
              "JSON archive: expected a string in valid UTF-8, found byte value " +
                  std::to_string(static_cast<unsigned char>(invalid[0])) + " at byte 3");
    }
    for (const std::string valid : {"\x7F", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80",
                                    "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"}) {
        CHECK(from<std::string>(json(valid)) == valid);
    }
    Renamed renamed{SampleId{}, "\xFF", {}};
    CHECK(write_refusal(renamed) == "JSON archive: cannot write in 'from': the text is not valid UTF-8 at its byte 0");
}

TEST_CASE("json: times are RFC 3339", "[archive][json]")
{
    using std::chrono::sys_seconds;
    const auto epoch = Micros{};
    CHECK(from<Micros>(R"("1970-01-01T00:00:00Z")") == epoch);
    CHECK(from<Micros>(R"("1970-01-01t01:30:00.0+01:30")") == epoch);
    CHECK(from<Micros>(R"("1969-12-31T23:00:00.5000000-01:00")") == epoch + std::chrono::milliseconds{500});
    CHECK(from<Micros>(R"("0000-01-01T00:00:00Z")") == Micros{std::chrono::microseconds{-62167219200000000}});
    CHECK(json(Micros{std::chrono::microseconds{-1}}) == R"("1969-12-31T23:59:59.999999Z")");
    for (const std::string_view invalid : {"",
                                           "1970-01-01",
                                           "1970-01-01T00:00:00",
                                           "1970-13-01T00:00:00Z",
                                           "1970-00-01T00:00:00Z",
                                           "1970-02-29T00:00:00Z",
                                           "1900-02-29T00:00:00Z",
                                           "1970-01-01T24:00:00Z",
                                           "1970-01-01T00:60:00Z",
                                           "1990-12-31T23:59:60Z",
                                           "1970-01-01T00:00:00.Z",
                                           "1970-01-01T00:00:00.0000001Z",
                                           "1970-01-01T00:00:00+24:00",
                                           "1970-01-01T00:00:00ZZ",
                                           "1970-01-01 00:00:00Z",
                                           "+970-01-01T00:00:00Z",
                                           "1970-01-01T00:00:00+1:00",
                                           "1970-1-01T00:00:00Z",
                                           "0000-01-01T00:00:00+00:01",
                                           "9999-12-31T23:59:59-00:01"}) {
        CHECK(refusal<Micros>('"' + std::string{invalid} + '"').starts_with("JSON archive: expected a time like"));
    }
    using Nanos = std::chrono::sys_time<std::chrono::nanoseconds>;
    for (const Nanos limit : {Nanos::min(), Nanos::max()}) CHECK(from<Nanos>(json(limit)) == limit);
    CHECK(refusal<Nanos>(R"("2262-04-11T23:47:16.854775808Z")") != "accepted");
    CHECK(refusal<Nanos>(R"("1677-09-21T00:12:43.145224191Z")") != "accepted");
    CHECK(refusal<std::chrono::sys_days>(R"("1970-01-01T00:00:01Z")") != "accepted");
    CHECK(write_refusal(sys_seconds{std::chrono::seconds{253402300800}}) ==
          "JSON archive: cannot write: the time is outside the years 0 to 9999");
    CHECK(write_refusal(Micros::min()) != "accepted");
    CHECK(write_refusal(sys_seconds::max()) != "accepted");
}

TEST_CASE("json: what a value should have been is said", "[archive][json]")
{
    CHECK(refusal<SampleId>(R"( "x")") == "JSON archive: not a UUID: expected 36 characters like "
                                          "123e4567-e89b-12d3-a456-426614174000, found 'x' at byte 1");
    CHECK(refusal<std::variant<int, bool>>(R"({"index":2,"value":1})") ==
          "JSON archive: expected the number of a variant's alternative, found 2 at byte 9 in 'index'");
    CHECK(refusal<std::variant<int, bool>>(R"({"index":1})") ==
          "JSON archive: field 'value' of a variant is missing; the object begins at byte 0");
    CHECK(refusal<std::set<int>>("[1, 1]") ==
          "JSON archive: expected distinct elements of a set, found one twice at byte 4 in '[1]'");
    CHECK(refusal<std::array<int, 2>>("[1,2,3]") ==
          "JSON archive: expected ']' after 2 elements, found a number at byte 5 in '[2]'");
    CHECK(refusal<std::array<int, 2>>("[1]") == "JSON archive: expected 2 elements, found fewer at byte 3");
    CHECK(refusal<std::pair<int, int>>("[1]") == "JSON archive: expected ',', found ']' at byte 2 in '[1]'");
    CHECK(refusal<std::map<std::string, std::vector<int>>>(R"({"a":[0,"b"]})") ==
          "JSON archive: expected a number, found a string at byte 8 in 'a[1]'");
    CHECK(refusal<bool>("nul") == "JSON archive: expected true or false, found 'n' at byte 0");
}

TEST_CASE("json: base64 is canonical", "[archive][json]")
{
    using Blob = std::vector<std::byte>;
    for (const std::string_view text : {"", "f", "fo", "foo", "foob", "fooba", "foobar"}) {
        CHECK(from<Blob>(json(bytes_of(text))) == bytes_of(text));
    }
    CHECK(json(bytes_of("fooba")) == R"("Zm9vYmE=")");
    for (const std::string_view invalid :
         {"Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Zm 9", "Zm9-"}) {
        CHECK(refusal<Blob>('"' + std::string{invalid} + '"') != "accepted");
    }
    CHECK(refusal<std::array<std::byte, 2>>(R"("AA==")") ==
          "JSON archive: expected 2 bytes in base64, found 1 at byte 0");
}

TEST_CASE("json: a serialize that would give bad JSON gets an error", "[archive][json]")
{
    int value = 0;
    CHECK(write_refusal(Scripted{[&](auto& archive) { archive & field("a", value) & field("a", value); }}) ==
          "JSON archive: cannot write: field 'a' is named twice");
    CHECK(write_refusal(Scripted{[&](auto& archive) { archive & field("a", value) & value; }}) ==
          "JSON archive: cannot write: an unnamed value follows a named one; name it with escqrs::field");
    CHECK(write_refusal(Scripted{[&](auto& archive) { archive & value& field("a", value); }}) ==
          "JSON archive: cannot write: field 'a' follows an unnamed value");
    CHECK(write_refusal(Scripted{[&](auto& archive) { archive & value& value; }}) ==
          "JSON archive: cannot write: a second unnamed value; name both with escqrs::field");
    CHECK(write_refusal(std::optional<std::optional<int>>{std::optional<int>{}}) ==
          "JSON archive: cannot write: the value of the optional is null in JSON, as no value would be");

    const auto read_refusal = [](auto body, std::string_view text) {
        Scripted scripted{body};
        try {
            decode_into<Json>(scripted, bytes_of(text));
        } catch (const CodecError& error) {
            return std::string{error.what()};
        }
        return std::string{"accepted"};
    };
    CHECK(read_refusal([&](auto& archive) { archive & field("a", value) & field("a", value); }, R"({"a":1})") ==
          "JSON archive: field 'a' is named twice at byte 6");
    CHECK(read_refusal([&](auto& archive) { archive & field("a", value) & value; }, R"({"a":1})") ==
          "JSON archive: an unnamed value follows a named one at byte 6");
    std::vector<std::byte> bytes;
    JsonOutput output{bytes};
    CHECK_THROWS_AS((output & field("a", value)), CodecError);
}

TEST_CASE("json: a serialize may continue after an error of one field", "[archive][json]")
{
    std::string problem;
    Point where{};
    Scripted scripted{[&](auto& archive) {
        try {
            archive & field("where", where);
        } catch (const CodecError& error) {
            problem = error.what();
        }
        archive & field("x", where.x);
    }};
    const auto bytes = bytes_of(R"({"where":{"x":"no","y":1},"x":5})");
    JsonInput{bytes}.root(scripted, 0);
    CHECK(problem == "JSON archive: expected a number, found a string at byte 14 in 'where.x'");
    CHECK(where.x == 5);
}

TEST_CASE("json: an object that is read into again shows nothing of what it held", "[archive][json]")
{
    Everything reused;
    for (std::uint32_t seed = 0; seed < 50; ++seed) {
        const Everything written = Generator{seed}.everything();
        decode_into<Json>(reused, encode<Json>(written));
        REQUIRE(reused == written);
    }
}
