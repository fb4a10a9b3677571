// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/postgres/detail/binary_format.hpp>

#include <escqrs/testing/catch2.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

namespace {

using namespace escqrs::postgres::detail;

std::vector<std::byte> bytes_of(std::initializer_list<unsigned> values)
{
    std::vector<std::byte> bytes;
    for (const unsigned value : values) bytes.push_back(static_cast<std::byte>(value));
    return bytes;
}

template <class Value>
std::vector<std::byte> sent(const Value& value)
{
    std::vector<std::byte> bytes;
    put_value(bytes, value);
    return bytes;
}

} // namespace

TEST_CASE("values are sent in network order, as the types that PostgreSQL takes them for")
{
    CHECK(sent(1) == bytes_of({0, 0, 0, 0, 0, 0, 0, 1}));
    CHECK(sent(-2) == bytes_of({0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE}));
    CHECK(type_of(1U) == type_id::int8);
    CHECK(sent(true) == bytes_of({1}));
    CHECK(type_of(true) == type_id::boolean);
    CHECK(sent(1.0) == bytes_of({0x3F, 0xF0, 0, 0, 0, 0, 0, 0}));
    CHECK(sent(std::string_view{"ab"}) == bytes_of({'a', 'b'}));
    CHECK(sent(escqrs::Timestamp{escqrs::Duration{946'684'800'000'001}}) == bytes_of({0, 0, 0, 0, 0, 0, 0, 1}));
    CHECK(sent(escqrs::Timestamp{}).front() == std::byte{0xFF}); // 1970 is before 2000
}

TEST_CASE("numbers come back from their bytes")
{
    const auto again = [](auto number) {
        std::vector<std::byte> bytes;
        put_number(bytes, number);
        return number_from<decltype(number)>(bytes) == number;
    };
    CHECK(again(std::numeric_limits<std::int64_t>::min()));
    CHECK(again(std::int16_t{-1}));
    CHECK(again(std::uint8_t{0xFE}));
    CHECK(again(std::uint32_t{0x80'00'00'01}));
    CHECK(from_postgres(to_postgres(escqrs::Timestamp{escqrs::Duration{7}})) == escqrs::Timestamp{escqrs::Duration{7}});
}

TEST_CASE("an array is read as it was built, and nothing else is one")
{
    ArrayValue array{type_id::int8};
    for (const std::int64_t number : {std::int64_t{1}, std::int64_t{-1}, std::int64_t{1} << 40U}) array.push(number);
    std::vector<std::int64_t> numbers;
    REQUIRE(read_array(array.bytes(), numbers));
    CHECK(numbers == std::vector<std::int64_t>{1, -1, std::int64_t{1} << 40U});
    CHECK(array.size() == 3);

    std::vector<std::byte> bytes{array.bytes().begin(), array.bytes().end()};
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        std::vector<std::int64_t> some;
        CHECK_FALSE(read_array(ByteView{bytes}.first(size), some));
    }
    bytes.push_back(std::byte{});
    std::vector<std::int64_t> some;
    CHECK_FALSE(read_array(bytes, some));

    ArrayValue texts{type_id::text};
    texts.push(std::string_view{"12345678"});
    CHECK_FALSE(read_array(texts.bytes(), some));
}

TEST_CASE("an array of 300 elements tells its size")
{
    ArrayValue array{type_id::int4};
    for (std::int32_t number = 0; number < 300; ++number) array.push(number);
    std::vector<std::int64_t> numbers;
    REQUIRE(read_array(array.bytes(), numbers));
    CHECK(numbers.size() == 300);
    CHECK(numbers.back() == 299);
    array.clear();
    numbers.clear();
    CHECK(array.size() == 0);
    REQUIRE(read_array(array.bytes(), numbers));
    CHECK(numbers.empty());
}
