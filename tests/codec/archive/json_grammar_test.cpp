// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "sample.hpp"

#include <escqrs/codec/archive/json.hpp>
#include <escqrs/testing/catch2.hpp>

using escqrs::CodecError;
using escqrs::archive::Json;
using namespace sample;

namespace {

/// A class without fields ignores every field, so its reader only checks the grammar.
bool is_json(std::string_view value)
{
    const auto bytes = bytes_of("{\"ignored\":" + std::string{value} + "}");
    try {
        decode<Nothing, Json>(bytes);
        return true;
    } catch (const CodecError&) {
        return false;
    }
}

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

} // namespace

TEST_CASE("json grammar: what RFC 8259 allows is read", "[archive][json]")
{
    for (const std::string_view value : {"0",
                                         "-0",
                                         "-1",
                                         "10",
                                         "0.5",
                                         "-0.0",
                                         "1e1",
                                         "1E1",
                                         "1e+1",
                                         "1e-1",
                                         "1.25E-10",
                                         "123456789012345678901234567890",
                                         "true",
                                         "false",
                                         "null",
                                         "\"\"",
                                         "\"a\"",
                                         "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
                                         "\"\\u0000\"",
                                         "\"\\u20ac\"",
                                         "\"\\u20AC\"",
                                         "\"\\uD83D\\uDE00\"",
                                         "\"\\uD800\\uDC00\"",
                                         "\"\\uDBFF\\uDFFF\"",
                                         "\"\x7F\"",
                                         "\"\xEF\xBF\xBF\"",
                                         "\"\xE2\x80\xA8\"",
                                         "[]",
                                         "[1]",
                                         "[1,2]",
                                         "[ ]",
                                         "[\n1\t,\r2 ]",
                                         "{}",
                                         "{ }",
                                         "{\"\":0}",
                                         "{\"a\":{\"b\":[]}}",
                                         "[[],[[]]]",
                                         "{\"a\":1,\"b\":2}",
                                         " 1 ",
                                         "\t\n\r 1",
                                         "[true,false,null]",
                                         "\"\\uFFFF\""}) {
        INFO(value);
        CHECK(is_json(value));
    }
    CHECK(is_json(nested(63)));
}

TEST_CASE("json grammar: what RFC 8259 forbids is refused", "[archive][json]")
{
    using namespace std::string_view_literals;
    for (const std::string_view value : {""sv,
                                         "01"sv,
                                         "-"sv,
                                         "--1"sv,
                                         "+1"sv,
                                         "1."sv,
                                         ".5"sv,
                                         "1.e1"sv,
                                         "1e"sv,
                                         "1e+"sv,
                                         "0x1"sv,
                                         "1 2"sv,
                                         "Infinity"sv,
                                         "NaN"sv,
                                         "-NaN"sv,
                                         "00"sv,
                                         "-01"sv,
                                         "1_000"sv,
                                         "1,"sv,
                                         "tru"sv,
                                         "True"sv,
                                         "truee"sv,
                                         "nul"sv,
                                         "nulll"sv,
                                         "undefined"sv,
                                         "'a'"sv,
                                         "\""sv,
                                         "\"a"sv,
                                         "\"\\\""sv,
                                         "\"\\x41\""sv,
                                         "\"\\u12\""sv,
                                         "\"\\u12G4\""sv,
                                         "\"\\U0041\""sv,
                                         "\"\\a\""sv,
                                         "\"\n\""sv,
                                         "\"\t\""sv,
                                         "\"\0\""sv,
                                         "\"\x1F\""sv,
                                         "\"\\uD800\""sv,
                                         "\"\\uDC00\""sv,
                                         "\"\\uD800\\uD800\""sv,
                                         "\"\\uD800a\""sv,
                                         "\"\\uD800\\n\""sv,
                                         "\"\\uDC00\\uD800\""sv,
                                         "\"\xFF\""sv,
                                         "\"\xC3\""sv,
                                         "\"\xED\xA0\x80\""sv,
                                         "["sv,
                                         "]"sv,
                                         "[,]"sv,
                                         "[1,]"sv,
                                         "[,1]"sv,
                                         "[1 2]"sv,
                                         "[1}"sv,
                                         "{"sv,
                                         "{1:2}"sv,
                                         "{\"a\"}"sv,
                                         "{\"a\":}"sv,
                                         "{\"a\":1,}"sv,
                                         "{,}"sv,
                                         "{\"a\" 1}"sv,
                                         "{\"a\":1 \"b\":2}"sv,
                                         "{\"a\":1]"sv,
                                         "{a:1}"sv,
                                         "{'a':1}"sv,
                                         "// c\n1"sv,
                                         "/* c */1"sv,
                                         "1\0"sv,
                                         "\v1"sv,
                                         "\f1"sv,
                                         "\xC2\xA0"
                                         "1"sv,
                                         "\xEF\xBB\xBF"
                                         "1"sv,
                                         "1}"sv}) {
        INFO(value);
        CHECK_FALSE(is_json(value));
    }
    CHECK_FALSE(is_json(nested(64)));
    CHECK_FALSE(is_json(std::string(1000000, '[')));
    CHECK_FALSE(is_json(std::string(1000000, '{')));
}

TEST_CASE("json grammar: strings are decoded", "[archive][json]")
{
    const auto text = [](std::string_view encoded) { return decode<std::string, Json>(bytes_of(encoded)); };
    CHECK(text(R"("\"\\\/\b\f\n\r\t")") == "\"\\/\b\f\n\r\t");
    CHECK(text(R"("\u0041\u00e9\u20AC\uD83D\uDE00")") == "A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
    CHECK(text(R"("a\u0000b")") == std::string{"a\0b", 3});
    CHECK(text(R"("\uDBFF\uDFFF")") == "\xF4\x8F\xBF\xBF");
}

TEST_CASE("json grammar: errors say what, where, expected and found", "[archive][json]")
{
    const auto refusal = [](std::string_view text) -> std::string {
        try {
            decode<Point, Json>(bytes_of(text));
        } catch (const CodecError& error) {
            return error.what();
        }
        return "accepted";
    };
    CHECK(refusal("") == "JSON archive: expected an object, found the end at byte 0");
    CHECK(refusal("[]") == "JSON archive: expected an object, found an array at byte 0");
    CHECK(refusal(R"({"x":true,"y":1})") == "JSON archive: expected a number, found true at byte 5 in 'x'");
    CHECK(refusal(R"({"x":1,"y":})") == "JSON archive: expected a number, found '}' at byte 11 in 'y'");
    CHECK(refusal(R"({"x":1;"y":2})") == "JSON archive: expected ',' or '}', found ';' at byte 6");
    CHECK(refusal(R"({"x":1,"y":2)") == "JSON archive: expected ',' or '}', found the end at byte 12");
    CHECK(refusal(R"({"x":1,"y":2} x)") == "JSON archive: expected the end, found 'x' at byte 14");
    CHECK(refusal("{\"x\":1,\"\x01\":2}") ==
          "JSON archive: expected a control character in a string to be escaped, found byte value 1 at byte 8");
    CHECK(refusal(R"({"a":"\uDC00"})") == "JSON archive: expected a high surrogate first, found a low one at byte 6");
}
