// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/postgres/detail/event_page.hpp>

#include <escqrs/testing/catch2.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace escqrs::postgres::detail;
using escqrs::StoreError;

void put_field(std::vector<std::byte>& out, ByteView bytes)
{
    put_number(out, static_cast<std::int32_t>(bytes.size()));
    put_value(out, bytes);
}
template <std::integral Number>
void put_field(std::vector<std::byte>& out, Number number)
{
    std::vector<std::byte> bytes;
    put_number(bytes, number);
    put_field(out, bytes);
}

std::string copied(std::size_t rows, bool with_kinds = false)
{
    std::vector<std::byte> bytes;
    put_value(bytes, std::string_view{"PGCOPY\n\377\r\n\0", 11});
    put_number(bytes, std::int32_t{0});
    put_number(bytes, std::int32_t{0});
    for (std::size_t row = 1; row <= rows; ++row) {
        put_number(bytes, static_cast<std::int16_t>(with_kinds ? 11 : 8));
        put_field(bytes, static_cast<std::int64_t>(10 * row));
        put_field(bytes, static_cast<std::int64_t>(row));
        put_field(bytes, std::int64_t{1});
        put_field(bytes, std::vector<std::byte>(16, static_cast<std::byte>(row)));
        put_field(bytes, std::int32_t{7});
        put_field(bytes, std::vector<std::byte>(row, std::byte{'m'}));
        put_field(bytes, std::vector<std::byte>(2 * row, std::byte{'p'}));
        put_field(bytes, std::as_bytes(std::span{std::string_view{"kind-1"}}));
        if (!with_kinds) continue;
        put_field(bytes, std::as_bytes(std::span{std::string_view{"Happened"}}));
        put_field(bytes, std::int64_t{2});
        put_field(bytes, std::as_bytes(std::span{std::string_view{"text/plain"}}));
    }
    put_number(bytes, std::int16_t{-1});
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; // NOLINT: char aliases
}

} // namespace

TEST_CASE("a page holds the rows that were copied, however the bytes were cut")
{
    const std::string bytes = copied(3);
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, bytes.size()}) {
        EventPage page;
        for (std::size_t at = 0; at < bytes.size(); at += piece) page.append(std::string_view{bytes}.substr(at, piece));
        page.parse(8);
        REQUIRE(page.size() == 3);
        CHECK(page.position(1) == 20);
        CHECK(page.version(2) == 3);
        CHECK(page.kind(0) == 7);
        CHECK(page.stream_name(2) == "kind-1");
        const escqrs::StreamId stream{"kind", "1"};
        page.set_kinds(std::make_shared<EventKinds>(EventKinds{{7, {"Happened", 2, "text/plain"}}}));
        const auto event = page.event(1, stream);
        CHECK(event.payload.size() == 4);
        CHECK(event.metadata.size() == 2);
        CHECK(event.type == "Happened");
    }
}

TEST_CASE("a page may bring the kinds of its events")
{
    EventPage page;
    page.append(copied(2, true));
    page.parse(11);
    REQUIRE(page.size() == 2);
    const escqrs::StreamId stream{"kind", "1"};
    const auto event = page.event(1, stream);
    CHECK(event.type == "Happened");
    CHECK(event.schema_version == 2);
    CHECK(event.content_type == "text/plain");
    CHECK(page.stream_name(1) == "kind-1");
}

TEST_CASE("a page that was cut after a row holds what came before")
{
    const std::string bytes = copied(2);
    EventPage page;
    page.append(std::string_view{bytes}.substr(0, bytes.size() - 2));
    page.cut();
    page.parse(8);
    CHECK(page.size() == 2);
}

TEST_CASE("bytes that are no page are refused, and read no further than they go")
{
    const std::string bytes = copied(3);
    EventPage page;
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        page.clear();
        page.append(std::string_view{bytes}.substr(0, size));
        CHECK_THROWS_AS(page.parse(8), StoreError);
    }
    page.clear();
    page.append(bytes);
    CHECK_THROWS_AS(page.parse(7), StoreError);

    std::mt19937 random{1}; // NOLINT: the same bytes each time
    for (int round = 0; round < 20'000; ++round) {
        std::string torn = bytes;
        for (int change = 0; change < 3; ++change) torn[random() % torn.size()] = static_cast<char>(random());
        page.clear();
        page.append(torn);
        try {
            page.parse(8);
        } catch (const StoreError& error) {
            CHECK(std::string_view{error.what()}.find("expected") != std::string_view::npos);
        }
    }
}
