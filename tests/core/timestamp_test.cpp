// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/core/timestamp.hpp>
#include <escqrs/testing/catch2.hpp>

#include <random>
#include <string>

using namespace escqrs;

TEST_CASE("a moment survives RFC 3339 text")
{
    std::mt19937_64 random{7};
    // Years 0 to 9999 in microseconds around 1970.
    std::uniform_int_distribution<std::int64_t> moments{-62'167'219'200'000'000, 253'402'300'799'999'999};
    for (int round = 0; round < 2000; ++round) {
        const Timestamp time{Duration{moments(random)}};
        CAPTURE(to_rfc3339(time));
        CHECK(parse_rfc3339(to_rfc3339(time)) == time);
    }
    CHECK(to_rfc3339(Timestamp{}) == "1970-01-01T00:00:00.000000Z");
    CHECK(to_rfc3339(Timestamp{Duration{1'700'000'000'123'456}}) == "2023-11-14T22:13:20.123456Z");
}

TEST_CASE("fewer digits after the second are understood")
{
    CHECK(parse_rfc3339("1970-01-01T00:00:01Z") == Timestamp{std::chrono::seconds{1}});
    CHECK(parse_rfc3339("1970-01-01T00:00:01.5Z") == Timestamp{std::chrono::milliseconds{1500}});
}

TEST_CASE("an offset is taken into account")
{
    CHECK(parse_rfc3339("1970-01-01T02:00:00+02:00") == Timestamp{});
    CHECK(parse_rfc3339("1969-12-31T23:30:00-00:30") == Timestamp{});
}

TEST_CASE("what is not RFC 3339 text is refused")
{
    for (const std::string text :
         {"", "1970-01-01", "1970-01-01 00:00:00Z", "1970-13-01T00:00:00Z", "1970-02-30T00:00:00Z",
          "1970-01-01T24:00:00Z", "1970-01-01T00:60:00Z", "1970-01-01T00:00:60Z", "1970-01-01T00:00:00",
          "1970-01-01T00:00:00+0100", "1970-01-01T00:00:00.Z", "1970-01-01T00:00:00.1234567Z", "1970-01-01T00:00:00ZZ",
          "197a-01-01T00:00:00Z"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_rfc3339(text).has_value());
    }
}
