// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/fields_of.hpp>
#include <escqrs/testing/sequential_ids.hpp>

#include <array>
#include <chrono>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

using namespace escqrs::testing;

namespace {

enum class Colour : unsigned char { red = 3 };

struct Phone {
    std::string number;
    bool mobile = false;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("number", number) & escqrs::field("mobile", mobile);
    }
};

struct Card {
    std::string number;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("number", number);
    }
};

struct Unnamed {
    int left = 1;
    int right = 2;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & left& right;
    }
};

/// Its `serialize` names both alike.
struct Twice {
    int left = 1;
    int right = 1;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("side", left) & escqrs::field("side", right);
    }
};

struct PersonMoved {
    static constexpr std::string_view event_name = "PersonMoved";
    static constexpr unsigned schema_version = 2;

    std::string name = "Ada";
    std::vector<Phone> phones{{"1", true}, {"2", false}};
    std::map<std::string, int> rooms{{"bath", 1}, {"bed", 2}};
    std::optional<Phone> fax;
    std::variant<std::monostate, Card, int> payment = Card{"4711"};
    escqrs::EventId id{SequentialIds::nth(5)};
    int since_version_2 = 9;

    template <class Archive>
    void serialize(Archive& archive, unsigned version)
    {
        archive & escqrs::field("name", name) & escqrs::field("phones", phones) & escqrs::field("rooms", rooms);
        archive & escqrs::field("fax", fax) & escqrs::field("payment", payment) & escqrs::field("id", id);
        if (version >= 2) archive & escqrs::field("since", since_version_2);
    }
};

/// The differences as lines.
template <class T>
std::vector<std::string> lines(const T& expected, const T& found)
{
    std::vector<std::string> lines;
    for (const auto& difference : differences(fields_of(expected), fields_of(found))) {
        lines.push_back(to_string(difference));
    }
    return lines;
}

using Lines = std::vector<std::string>;

} // namespace

TEST_CASE("fields of: plain values read as people write them")
{
    CHECK(describe(true) == "true");
    CHECK(describe(-5) == "-5");
    CHECK(describe(std::uint64_t{18446744073709551615U}) == "18446744073709551615");
    CHECK(describe(0.1) == "0.1");
    CHECK(describe(std::nan("")) == "nan");
    CHECK(describe(Colour::red) == "3");
    CHECK(describe(std::string{"Ada"}) == "'Ada'");
    CHECK(describe(SequentialIds::nth(1)) == "00000000-0000-4000-8000-000000000001");
    CHECK(describe(escqrs::EventId{SequentialIds::nth(1)}) == "00000000-0000-4000-8000-000000000001");
    CHECK(describe(std::vector<std::byte>{std::byte{0x0A}, std::byte{0xFF}}) == "2 bytes 0aff");
    CHECK(describe(std::vector<std::byte>{}) == "0 bytes");
    CHECK(describe(std::chrono::milliseconds{1500}) == "1500 ms");
    CHECK(describe(std::chrono::hours{2}) == "2 h");
    CHECK(describe(std::chrono::sys_days{std::chrono::year{2026} / 1 / 2} + std::chrono::milliseconds{5}) ==
          "2026-01-02T00:00:00.005Z");
}

TEST_CASE("fields of: what cannot be seen in a text is escaped")
{
    CHECK(describe(std::string{"a\n\t\r"}) == R"('a\n\t\r')");
    CHECK(describe(std::string{"it's \\"}) == R"('it\'s \\')");
    CHECK(describe(std::string{"\x01\x7F\xFF"}) == R"('\x01\x7f\xff')");
    CHECK(describe(std::string{"Zoë "}) == "'Zoë '");
}

TEST_CASE("fields of: containers, optionals, tuples and variants")
{
    CHECK(describe(std::vector<int>{1, 2}) == "[1, 2]");
    CHECK(describe(std::vector<bool>{true, false}) == "[true, false]");
    CHECK(describe(std::array<int, 2>{1, 2}) == "[1, 2]");
    CHECK(describe(std::set<int>{2, 1}) == "[1, 2]");
    CHECK(describe(std::tuple<int, std::string>{1, "x"}) == "[1, 'x']");
    CHECK(describe(std::map<std::string, int>{{"a", 1}}) == "{'a': 1}");
    CHECK(describe(std::map<int, std::vector<int>>{{7, {}}}) == "{7: []}");
    CHECK(describe(std::optional<int>{}) == "nothing");
    CHECK(describe(std::optional<int>{3}) == "3");
    CHECK(describe(std::variant<int, bool>{true}) == "true (alternative 1)");
    CHECK(describe(std::variant<int, Card>{Card{"1"}}) == "Card{number: '1'}");
    CHECK(describe(std::variant<std::vector<int>, std::set<int>>{std::set<int>{1}}) == "alternative 1 [1]");
    CHECK(describe(std::optional<std::optional<int>>{std::in_place}) == "an optional of nothing");
}

TEST_CASE("fields of: classes, with the names that serialize gives")
{
    CHECK(describe(Phone{"1", true}) == "Phone{number: '1', mobile: true}");
    CHECK(describe(Unnamed{}) == "Unnamed{#1: 1, #2: 2}");
    CHECK(describe(PersonMoved{}) ==
          "PersonMoved{name: 'Ada', phones: [Phone{number: '1', mobile: true}, Phone{number: '2', mobile: false}], "
          "rooms: {'bath': 1, 'bed': 2}, fax: nothing, payment: Card{number: '4711'}, "
          "id: 00000000-0000-4000-8000-000000000005, since: 9}");
}

TEST_CASE("fields of: differences name the place, however deep")
{
    const PersonMoved expected;
    PersonMoved found;
    CHECK(lines(expected, found).empty());

    SECTION("in a list")
    {
        found.phones[1].number = "3";
        CHECK(lines(expected, found) == Lines{"phones[1].number: expected '2', found '3'"});
    }
    SECTION("in a list that is longer, and one that is shorter")
    {
        found.phones.push_back({"3", true});
        CHECK(lines(expected, found) ==
              Lines{"phones[2]: expected no such field, found Phone{number: '3', mobile: true}"});
        CHECK(lines(found, expected) ==
              Lines{"phones[2]: expected Phone{number: '3', mobile: true}, found no such field"});
    }
    SECTION("in a map, by key")
    {
        found.rooms = {{"bed", 3}, {"living", 1}};
        CHECK(lines(expected, found) == Lines{"rooms['bath']: expected 1, found no such field",
                                              "rooms['bed']: expected 2, found 3",
                                              "rooms['living']: expected no such field, found 1"});
    }
    SECTION("in an optional")
    {
        found.fax = Phone{"9", false};
        CHECK(lines(expected, found) == Lines{"fax: expected nothing, found Phone{number: '9', mobile: false}"});
    }
    SECTION("in a variant, of the same and of another alternative")
    {
        found.payment = Card{"4712"};
        CHECK(lines(expected, found) == Lines{"payment.number: expected '4711', found '4712'"});
        found.payment = 5;
        CHECK(lines(expected, found) == Lines{"payment: expected Card{number: '4711'}, found 5 (alternative 2)"});
    }
    SECTION("several at once, in the order of the fields")
    {
        found.name = "Bob";
        found.since_version_2 = 10;
        CHECK(lines(expected, found) == Lines{"name: expected 'Ada', found 'Bob'", "since: expected 9, found 10"});
    }
}

TEST_CASE("fields of: maps and sets without order are compared by key")
{
    std::unordered_set<int> near{1, 2, 3};
    std::unordered_set<int> far(100);
    far.insert({3, 2, 1});
    CHECK(lines(near, far).empty());
    CHECK(describe(far) == "[1, 2, 3]");

    std::unordered_map<int, int> left;
    std::unordered_map<int, int> right;
    for (int key = 0; key < 100; ++key) {
        left[key] = key;
        right[99 - key] = 99 - key;
    }
    CHECK(lines(left, right).empty());
}

TEST_CASE("fields of: differences that have no field")
{
    CHECK(lines(std::string{"a"}, std::string{"b"}) == Lines{"expected 'a', found 'b'"});
}

TEST_CASE("fields of: of long texts, what stands around the first difference")
{
    const std::string same(300, 'x');
    CHECK(lines(same + "a", same + "b") ==
          Lines{"expected ...xxxxxxxxxxxxxxxxxxxxa', found ...xxxxxxxxxxxxxxxxxxxxb'"});
    CHECK(lines(same, same + "b") == Lines{"expected ...xxxxxxxxxxxxxxxxxxxx', found ...xxxxxxxxxxxxxxxxxxxxb'"});
    CHECK(lines("a" + same, "b" + same) ==
          Lines{"expected 'a" + std::string(59, 'x') + "..., found 'b" + std::string(59, 'x') + "..."});

    SECTION("without cutting a character into pieces")
    {
        std::string umlauts;
        for (int time = 0; time < 100; ++time) umlauts += "ö";
        const auto text = lines(umlauts + "xa", umlauts + "xb").at(0);
        CHECK(text.starts_with("expected ...ö"));
        CHECK(lines("a" + umlauts, "bb" + umlauts).at(0).find("ö..., found") != std::string::npos);
    }
    SECTION("but all of one that has nothing to be compared with")
    {
        CHECK(lines(std::vector<std::string>{}, std::vector<std::string>{same}) ==
              Lines{"[0]: expected no such field, found '" + same + "'"});
    }
}

TEST_CASE("fields of: fields of the same name are compared one by one")
{
    CHECK(lines(Twice{1, 1}, Twice{1, 1}).empty());
    CHECK(lines(Twice{1, 1}, Twice{1, 2}) == Lines{"side: expected 1, found 2"});

    using Seats = std::multimap<std::string, int>;
    CHECK(lines(Seats{{"row", 1}, {"row", 2}}, Seats{{"row", 1}, {"row", 3}}) == Lines{"['row']: expected 2, found 3"});
    CHECK(lines(Seats{{"row", 1}}, Seats{{"row", 1}, {"row", 1}}) == Lines{"['row']: expected no such field, found 1"});
}
