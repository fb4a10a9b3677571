// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/messaging/message_properties.hpp>

#include <catch2/catch.hpp>

#include <iterator>
#include <string>
#include <utility>
#include <vector>

using escqrs::MessageProperties;

namespace {

static_assert(std::forward_iterator<MessageProperties::const_iterator>);

using Pairs = std::vector<std::pair<std::string, std::string>>;

Pairs pairs(const MessageProperties& properties) { return {properties.begin(), properties.end()}; }

} // namespace

TEST_CASE("properties are shown in the order in which they were added, whatever is in them")
{
    const std::string zeros(3, '\0');
    const std::string large(70'000, 'x');
    MessageProperties properties{{"z", "last"}, {"", ""}};
    properties.add("a", zeros);
    properties.add(zeros, large);
    CHECK(pairs(properties) == Pairs{{"z", "last"}, {"", ""}, {"a", zeros}, {zeros, large}});
    CHECK(properties.size() == 4);
    CHECK_FALSE(properties.empty());

    MessageProperties copy = properties;
    const MessageProperties moved = std::move(copy);
    copy = {};
    copy.add("again", "");
    CHECK(pairs(copy) == Pairs{{"again", ""}});
    properties.clear();
    CHECK(properties == MessageProperties{});
    CHECK(properties.empty());
    CHECK(properties.size() == 0); // NOLINT: it is the size that is tested
    CHECK(pairs(properties).empty());
    CHECK(pairs(moved).size() == 4);
}

TEST_CASE("a property is found by its whole name, the first of that name")
{
    const MessageProperties properties{{"name", "1"}, {"name", "2"}, {"names", "3"}, {"empty", ""}};
    CHECK(properties.find("name") == "1");
    CHECK(properties.find("names") == "3");
    CHECK(properties.find("empty") == "");
    CHECK_FALSE(properties.find("nam"));
    CHECK_FALSE(properties.find(""));
    CHECK_FALSE(MessageProperties{}.find(""));
}

TEST_CASE("setting a property keeps its place, or adds it")
{
    MessageProperties properties{{"first", "1"}, {"second", "2"}};
    properties.set("first", "a longer text");
    properties.set("third", "3");
    CHECK(pairs(properties) == Pairs{{"first", "a longer text"}, {"second", "2"}, {"third", "3"}});
    properties.set("second", *properties.find("first")); // of the properties themselves
    CHECK(properties.find("second") == "a longer text");
    properties.add("third", "once more");
    properties.set("third", "both");
    CHECK(pairs(properties) ==
          Pairs{{"first", "a longer text"}, {"second", "a longer text"}, {"third", "both"}, {"third", "both"}});
}

TEST_CASE("erasing takes all properties of a name")
{
    MessageProperties properties{{"name", "1"}, {"other", "2"}, {"name", "3"}};
    properties.erase("name");
    CHECK(pairs(properties) == Pairs{{"other", "2"}});
    properties.erase("nothing");
    CHECK(properties.size() == 1);
    properties.erase((*properties.begin()).first); // of the properties themselves
    CHECK(properties.empty());
}

TEST_CASE("properties are equal if they are the same, in the same order")
{
    const MessageProperties properties{{"ab", "c"}, {"d", "e"}};
    CHECK(properties == MessageProperties{{"ab", "c"}, {"d", "e"}});
    CHECK_FALSE(properties == MessageProperties{{"d", "e"}, {"ab", "c"}});
    CHECK_FALSE(properties == MessageProperties{{"a", "bc"}, {"d", "e"}});
    CHECK_FALSE(properties == MessageProperties{{"ab", "c"}});
}

TEST_CASE("properties may be added, set and erased by views of themselves")
{
    const std::string name(20, 'n');
    const std::string text(40, 't');
    MessageProperties properties{{name, text}};
    Pairs expected{{name, text}};
    for (int round = 0; round < 10; ++round) { // the memory grows on the way
        const auto [its_name, its_text] = *properties.begin();
        properties.add(its_text, its_name);
        expected.emplace_back(text, name);
    }
    CHECK(pairs(properties) == expected);

    properties.set("new", (*properties.begin()).second);
    expected.emplace_back("new", text);
    properties.set((*properties.begin()).first, (*std::next(properties.begin())).second);
    expected.front().second = name;
    CHECK(pairs(properties) == expected);

    properties.erase((*std::next(properties.begin())).first);
    CHECK(pairs(properties) == Pairs{{name, name}, {"new", text}});
}
