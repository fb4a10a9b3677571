// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "sample.hpp"

#include <escqrs/codec/archive/binary.hpp>
#include <escqrs/codec/archive/json.hpp>
#include <escqrs/testing/catch2.hpp>

#include <memory>

using escqrs::CodecError;
using escqrs::archive::Binary;
using escqrs::archive::Json;
using namespace sample;

namespace {

/// True for a value, false for a CodecError; anything else escapes and fails the test. The bytes are copied to memory
/// of their exact size, so that a sanitizer sees a read beyond them.
template <class T, class Format>
bool accepts(std::span<const std::byte> bytes)
{
    const auto copy = std::make_unique<std::byte[]>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), copy.get());
    try {
        decode<T, Format>({copy.get(), bytes.size()});
        return true;
    } catch (const CodecError&) {
        return false;
    }
}

std::size_t largest_request = 0;

/// Notes the largest allocation asked for, and refuses those that no test needs.
template <class T>
struct WatchingAllocator {
    using value_type = T;
    WatchingAllocator() = default;
    template <class U>
    WatchingAllocator(const WatchingAllocator<U>&) noexcept // NOLINT(google-explicit-constructor)
    {
    }
    T* allocate(std::size_t count)
    {
        largest_request = std::max(largest_request, count * sizeof(T));
        return std::allocator<T>{}.allocate(count);
    }
    void deallocate(T* memory, std::size_t count) noexcept { std::allocator<T>{}.deallocate(memory, count); }
    friend bool operator==(const WatchingAllocator&, const WatchingAllocator&) = default;
};

template <class T>
using Watched = std::vector<T, WatchingAllocator<T>>;
using WatchedText = std::basic_string<char, std::char_traits<char>, WatchingAllocator<char>>;

template <class T>
std::size_t largest_request_for(const std::vector<std::byte>& bytes)
{
    largest_request = 0;
    CHECK_FALSE(accepts<T, Binary>(bytes));
    return largest_request;
}

struct Large {
    std::optional<std::array<char, 1000>> content;
    template <class Archive>
    void serialize(Archive& archive, unsigned)
    {
        archive & field("content", content);
    }
};

} // namespace

TEMPLATE_TEST_CASE("archives: every truncation is refused", "[archive]", Binary, Json)
{
    for (std::uint32_t seed = 0; seed < 10; ++seed) {
        const auto bytes = encode<TestType>(Generator{seed}.everything());
        REQUIRE(accepts<Everything, TestType>(bytes));
        for (std::size_t length = 0; length < bytes.size(); ++length) {
            INFO("seed " << seed << ", " << length << " of " << bytes.size() << " bytes");
            REQUIRE_FALSE(accepts<Everything, TestType>(std::span{bytes}.first(length)));
        }
    }
}

TEMPLATE_TEST_CASE("archives: every single-bit flip gives a value or a CodecError", "[archive]", Binary, Json)
{
    std::size_t accepted = 0;
    std::size_t refused = 0;
    for (std::uint32_t seed = 0; seed < 2; ++seed) {
        auto bytes = encode<TestType>(Generator{seed}.everything());
        for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
            const auto mask = static_cast<std::byte>(1U << bit % 8);
            bytes[bit / 8] ^= mask;
            ++(accepts<Everything, TestType>(bytes) ? accepted : refused);
            bytes[bit / 8] ^= mask;
        }
    }
    CHECK(accepted > 0); // a flip inside a text
    CHECK(refused > 0);  // a flip of a boolean or bracket
}

TEMPLATE_TEST_CASE("archives: random bytes give a value or a CodecError", "[archive]", Binary, Json)
{
    Generator generator{1};
    for (int round = 0; round < 5000; ++round) {
        std::vector<std::byte> bytes(generator.below(200));
        for (auto& byte : bytes) byte = static_cast<std::byte>(generator.below(generator.flip() ? 4 : 256));
        CHECK_NOTHROW(accepts<Everything, TestType>(bytes)); // a CodecError is caught within
    }
}

TEST_CASE("binary: a hostile length allocates no more than the bytes justify", "[archive][binary]")
{
    for (const unsigned last : {0x01U, 0x00U}) {
        std::vector<std::byte> bytes;
        for (int count = 0; count < 8; ++count) bytes.push_back(std::byte{0xFF});
        bytes.push_back(std::byte{0x7F});
        bytes.push_back(static_cast<std::byte>(last));
        if (last == 0) bytes.pop_back();
        bytes.resize(40);
        CHECK(largest_request_for<WatchedText>(bytes) == 0);
        CHECK(largest_request_for<Watched<std::byte>>(bytes) == 0);
        CHECK(largest_request_for<Watched<std::uint64_t>>(bytes) == 0);
        CHECK(largest_request_for<Watched<std::string>>(bytes) == 0);
        CHECK(largest_request_for<Watched<Nothing>>(bytes) == 0);
    }
}

TEST_CASE("binary: a count of large elements is not taken on trust", "[archive][binary]")
{
    // Claims 1,000 elements of 1 kB, of which the bytes hold at most so many as empty optionals; the third is damaged.
    std::vector<std::byte> bytes(1002, std::byte{0});
    bytes[0] = std::byte{0xE8};
    bytes[1] = std::byte{0x07};
    bytes[4] = std::byte{2};
    CHECK(largest_request_for<Watched<Large>>(bytes) <= 8 * bytes.size());
}
