// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/core/recent_map.hpp>
#include <escqrs/testing/catch2.hpp>

#include <memory>
#include <string>

using escqrs::detail::RecentMap;

TEST_CASE("recent map: it is bounded, and forgets the ones that were not used for longest")
{
    RecentMap<int, std::string> map{8};
    for (int key = 0; key < 100; ++key) {
        map.insert_or_assign(key, std::to_string(key));
        CHECK(map.size() <= 8);
        for (int recent = std::max(0, key - 3); recent <= key; ++recent) {
            REQUIRE(map.find(recent) != nullptr);
            CHECK(*map.find(recent) == std::to_string(recent));
        }
    }
    CHECK(map.find(50) == nullptr);
}

TEST_CASE("recent map: a key that is used now and then is never forgotten")
{
    RecentMap<int, int> map{8};
    map.insert_or_assign(-1, 7);
    for (int key = 0; key < 1000; ++key) {
        map.insert_or_assign(key, key);
        if (key % 3 == 0) REQUIRE(map.find(-1) != nullptr);
    }
    CHECK(*map.find(-1) == 7);
}

TEST_CASE("recent map: what is forgotten is destroyed")
{
    RecentMap<int, std::shared_ptr<int>> map{4};
    const auto value = std::make_shared<int>(1);
    for (int key = 0; key < 20; ++key) map.find_or_emplace(key, value);
    CHECK(value.use_count() <= 5);
    map.insert_or_assign(19, nullptr);
    CHECK(map.find_or_emplace(19, value) == nullptr);
    map.clear();
    CHECK(map.size() == 0);
    CHECK(value.use_count() == 1);
}
