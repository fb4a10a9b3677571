// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/identifiers.hpp>
#include <escqrs/domain/event.hpp>

#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

// Values of every type that the archives support, and a generator of them from a seed.
namespace sample {

using escqrs::field;
using SampleId = escqrs::Id<struct SampleIdTag>;
using Micros = std::chrono::sys_time<std::chrono::microseconds>;

enum class Colour : std::int8_t { red = -1, green = 0, blue = 1 };

struct Nothing {
    template <class Archive>
    void serialize(Archive&, unsigned)
    {
    }
    friend bool operator==(const Nothing&, const Nothing&) = default;
};

struct Numbers {
    bool truth = false;
    char letter = 'a';
    std::int8_t i8 = 0;
    std::uint8_t u8 = 0;
    std::int16_t i16 = 0;
    std::uint16_t u16 = 0;
    std::int32_t i32 = 0;
    std::uint32_t u32 = 0;
    std::int64_t i64 = 0;
    std::uint64_t u64 = 0;
    char16_t unit = u'a';
    float single = 0;
    double real = 0;
    Colour colour = Colour::green;

    template <class Archive>
    void serialize(Archive& archive, unsigned)
    {
        archive & field("truth", truth) & field("letter", letter) & field("i8", i8) & field("u8", u8) &
            field("i16", i16);
        archive & field("u16", u16) & field("i32", i32) & field("u32", u32) & field("i64", i64) & field("u64", u64);
        archive & field("unit", unit) & field("single", single) & field("real", real) & field("colour", colour);
    }
    friend bool operator==(const Numbers&, const Numbers&) = default;
};

/// Serialized by a free function.
struct Point {
    int x = 0;
    int y = 0;
    friend bool operator==(const Point&, const Point&) = default;
};
template <class Archive>
void serialize(Archive& archive, Point& point, unsigned)
{
    archive & field("x", point.x) & field("y", point.y);
}

struct Tree {
    std::string name;
    std::vector<Tree> children;

    template <class Archive>
    void serialize(Archive& archive, unsigned)
    {
        archive & field("name", name) & field("children", children);
    }
    friend bool operator==(const Tree&, const Tree&) = default;
};

struct Containers {
    std::vector<std::string> texts;
    std::vector<std::int32_t> integers;
    std::vector<bool> flags;
    std::vector<std::byte> blob;
    std::array<std::uint16_t, 3> three{};
    std::array<std::byte, 4> four_bytes{};
    int plain[2] = {};
    std::map<std::string, int> by_text;
    std::map<std::int32_t, std::string> by_number;
    std::multimap<std::string, int> many;
    std::unordered_map<std::string, Point> points;
    std::set<std::string> names;
    std::pair<std::string, int> pair;
    std::tuple<int, bool, std::string> tuple;
    std::vector<Nothing> nothings;

    template <class Archive>
    void serialize(Archive& archive, unsigned)
    {
        archive & field("texts", texts) & field("integers", integers) & field("flags", flags) & field("blob", blob);
        archive & field("three", three) & field("fourBytes", four_bytes) & field("plain", plain);
        archive & field("byText", by_text) & field("byNumber", by_number) & field("many", many);
        archive & field("points", points) & field("names", names) & field("pair", pair) & field("tuple", tuple);
        archive & field("nothings", nothings);
    }
    friend bool operator==(const Containers&, const Containers&) = default;
};

struct Everything {
    SampleId id;
    std::string text;
    Numbers numbers;
    Containers containers;
    std::optional<std::string> note;
    std::optional<Point> where;
    std::variant<std::monostate, int, std::string, Point> choice;
    std::chrono::milliseconds waited{};
    std::chrono::duration<double> exact_wait{};
    Micros at{};
    std::chrono::sys_days day{};
    Tree tree;

    template <class Archive>
    void serialize(Archive& archive, unsigned)
    {
        archive & field("id", id) & field("text", text) & field("numbers", numbers) & field("containers", containers);
        archive & field("note", note) & field("where", where) & field("choice", choice) & field("waited", waited);
        archive & field("exactWait", exact_wait) & field("at", at) & field("day", day) & field("tree", tree);
    }
    friend bool operator==(const Everything&, const Everything&) = default;
};

/// Random values, the same ones for the same seed in every run of a program.
class Generator {
public:
    explicit Generator(std::uint32_t seed) : random_{seed} {}

    std::uint64_t number() { return static_cast<std::uint64_t>(random_()) << 32U | random_(); }
    std::size_t below(std::size_t limit) { return static_cast<std::size_t>(number() % limit); }
    bool flip() { return below(2) == 0; }

    /// Often an extreme value.
    template <class T>
    T integer()
    {
        switch (below(4)) {
        case 0: return std::numeric_limits<T>::max();
        case 1: return std::numeric_limits<T>::min();
        case 2: return static_cast<T>(below(100));
        default: return static_cast<T>(number());
        }
    }

    template <class T>
    T real()
    {
        constexpr T special[] = {T{0},
                                 -T{0},
                                 T(0.1),
                                 T(1) / 3,
                                 std::numeric_limits<T>::max(),
                                 std::numeric_limits<T>::lowest(),
                                 std::numeric_limits<T>::min(),
                                 std::numeric_limits<T>::denorm_min(),
                                 std::numeric_limits<T>::epsilon()};
        if (flip()) return special[below(std::size(special))];
        return static_cast<T>(std::ldexp(static_cast<double>(number()), static_cast<int>(below(60)) - 60));
    }

    std::string text()
    {
        static const std::string pieces[] = {"a", "Zoë", "\"", "\\",   "\n", std::string(1, '\0'),
                                             "€", "😀",  "/",  "\x7F", " ",  "e"};
        std::string text;
        for (std::size_t left = below(flip() ? 6 : 40); left > 0; --left) text += pieces[below(std::size(pieces))];
        return text;
    }

    template <class Fill>
    void times(Fill&& fill)
    {
        for (std::size_t left = below(4); left > 0; --left) fill();
    }

    SampleId id();
    Point point() { return {integer<int>(), integer<int>()}; }
    Numbers numbers();
    Tree tree(unsigned depth);
    Containers containers();
    Everything everything();

private:
    std::mt19937 random_;
};

inline SampleId Generator::id()
{
    escqrs::Uuid uuid{};
    for (auto& byte : uuid) byte = static_cast<std::uint8_t>(below(256));
    return SampleId{uuid};
}

inline Numbers Generator::numbers()
{
    return {flip(),
            static_cast<char>(below(128)),
            integer<std::int8_t>(),
            integer<std::uint8_t>(),
            integer<std::int16_t>(),
            integer<std::uint16_t>(),
            integer<std::int32_t>(),
            integer<std::uint32_t>(),
            integer<std::int64_t>(),
            integer<std::uint64_t>(),
            static_cast<char16_t>(below(0x10000)),
            real<float>(),
            real<double>(),
            static_cast<Colour>(static_cast<int>(below(3)) - 1)};
}

inline Tree Generator::tree(unsigned depth)
{
    Tree tree{text(), {}};
    if (depth > 0) times([&] { tree.children.push_back(this->tree(depth - 1)); });
    return tree;
}

inline Containers Generator::containers()
{
    Containers made;
    times([&] { made.texts.push_back(text()); });
    times([&] { made.integers.push_back(integer<std::int32_t>()); });
    times([&] { made.flags.push_back(flip()); });
    times([&] { made.blob.push_back(static_cast<std::byte>(below(256))); });
    for (auto& element : made.three) element = integer<std::uint16_t>();
    for (auto& element : made.four_bytes) element = static_cast<std::byte>(below(256));
    for (auto& element : made.plain) element = integer<int>();
    times([&] { made.by_text[text()] = integer<int>(); });
    times([&] { made.by_number[integer<std::int32_t>()] = text(); });
    times([&] { made.many.emplace(flip() ? "twice" : text(), integer<int>()); });
    times([&] { made.points[text()] = point(); });
    times([&] { made.names.insert(text()); });
    made.pair = {text(), integer<int>()};
    made.tuple = {integer<int>(), flip(), text()};
    times([&] { made.nothings.emplace_back(); });
    return made;
}

inline Everything Generator::everything()
{
    Everything made;
    made.id = id();
    made.text = text();
    made.numbers = numbers();
    made.containers = containers();
    if (flip()) made.note = text();
    if (flip()) made.where = point();
    switch (below(4)) {
    case 0: break;
    case 1: made.choice = integer<int>(); break;
    case 2: made.choice = text(); break;
    default: made.choice = point();
    }
    made.waited = std::chrono::milliseconds{integer<std::int64_t>()};
    made.exact_wait = std::chrono::duration<double>{real<double>()};
    // The years 0 to 9999, in microseconds.
    made.at = Micros{
        std::chrono::microseconds{-62167219200000000 + static_cast<std::int64_t>(number() % 315569520000000000)}};
    made.day = std::chrono::sys_days{std::chrono::days{-719528 + static_cast<int>(below(3652425))}};
    made.tree = tree(3);
    return made;
}

/// Small events, as they mostly are.
struct Renamed {
    static constexpr std::string_view event_name = "Renamed";
    SampleId id;
    std::string from;
    std::optional<std::string> to;

    template <class Archive>
    void serialize(Archive& archive, unsigned)
    {
        archive & field("id", id) & field("from", from) & field("to", to);
    }
    friend bool operator==(const Renamed&, const Renamed&) = default;
};

template <class Format, class T>
std::vector<std::byte> encode(const T& value, unsigned schema_version = 0)
{
    std::vector<std::byte> bytes;
    typename Format::Output{bytes}.root(value, schema_version);
    return bytes;
}

template <class Format, class T>
void decode_into(T& value, std::span<const std::byte> bytes, unsigned schema_version = 0)
{
    typename Format::Input input{bytes};
    input.root(value, schema_version);
    input.finish();
}

template <class T, class Format>
T decode(std::span<const std::byte> bytes, unsigned schema_version = 0)
{
    T value{};
    decode_into<Format>(value, bytes, schema_version);
    return value;
}

inline std::vector<std::byte> bytes_of(std::string_view text)
{
    std::vector<std::byte> bytes(text.size());
    for (std::size_t at = 0; at < text.size(); ++at) bytes[at] = static_cast<std::byte>(text[at]);
    return bytes;
}

inline std::string text_of(std::span<const std::byte> bytes)
{
    std::string text;
    for (const std::byte byte : bytes) text.push_back(static_cast<char>(byte));
    return text;
}

} // namespace sample
