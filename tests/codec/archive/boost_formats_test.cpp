// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "route.hpp"
#include "sample.hpp"

#include <escqrs/codec.hpp>
#include <escqrs/commands.hpp>
#include <escqrs/in_memory.hpp>
#include <escqrs/messaging/cloud_events.hpp>
#include <escqrs/testing/catch2.hpp>

#include <boost/serialization/bitset.hpp>

#include <bitset>
#include <cmath>
#include <exception>
#include <limits>
#include <locale>
#include <new>
#include <sstream>
#include <stdexcept>

using namespace escqrs;
using archive::Binary;
using archive::BoostText;
using archive::BoostXml;
using route::RoutePlanned;
using sample::text_of;

namespace {

template <class Format, class... OtherFormats>
using RouteCodec = Codec<EventList<RoutePlanned>, Format, OtherFormats...>;

/// Nothing that only Boost stores.
struct Measured {
    static constexpr std::string_view event_name = "Measured";
    static constexpr unsigned schema_version = 3;

    sample::SampleId id;
    std::string text;
    double real = 0;
    float single = 0;
    std::vector<std::int64_t> integers;
    bool truth = false;
    std::string since_2;
    TextId<struct ArticleTag> article;

    template <class Archive>
    void serialize(Archive& archive, unsigned version)
    {
        archive & field("id", id) & field("text", text) & field("real", real) & field("single", single);
        archive & field("integers", integers) & field("truth", truth);
        if (version >= 2) archive & field("since2", since_2);
        archive & field("article", article);
    }
    friend bool operator==(const Measured&, const Measured&) = default;
};

template <class Format, class... OtherFormats>
using MeasuredCodec = Codec<EventList<Measured>, Format, OtherFormats...>;

Measured measured()
{
    return {sample::SampleId::parse("123e4567-e89b-12d3-a456-426614174000"),
            "a <b> & \"c\"",
            0.1,
            1.5F,
            {-1, 1234567, std::numeric_limits<std::int64_t>::max()},
            true,
            "new",
            TextId<struct ArticleTag>{"BOLT-M6"}};
}

template <class Format>
std::vector<std::byte> bytes_of(const Measured& event)
{
    std::vector<std::byte> bytes;
    MeasuredCodec<Format>{}.encode(event, bytes);
    return bytes;
}

template <class Format>
Measured read(std::span<const std::byte> bytes, unsigned version = 3)
{
    return std::get<0>(MeasuredCodec<Format>{}.decode({"Measured", version, Format::content_type, bytes}).at(0));
}

template <class Function>
std::string error_of(Function&& function)
{
    try {
        function();
    } catch (const CodecError& error) {
        return error.what();
    }
    return "no error";
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

class GroupsOfThree : public std::numpunct<char> {
    char do_decimal_point() const override { return ','; }
    char do_thousands_sep() const override { return '.'; }
    std::string do_grouping() const override { return "\3"; }
};

class GlobalLocale {
public:
    explicit GlobalLocale(const std::locale& locale) : before_{std::locale::global(locale)} {}
    ~GlobalLocale() { std::locale::global(before_); }
    GlobalLocale(const GlobalLocale&) = delete;
    GlobalLocale& operator=(const GlobalLocale&) = delete;

private:
    std::locale before_;
};

class Journey : public AggregateRoot<Journey, RoutePlanned> {
public:
    using Codec = RouteCodec<BoostText>;
    static constexpr std::string_view category = "journey";
    static constexpr unsigned snapshot_version = 1;

    explicit Journey(const Id& id) : AggregateRoot{id} {}

    void plan() { raise(route::planned()); }
    std::uint64_t stops() const noexcept { return stops_; }

    template <class Archive>
    void serialize(Archive& archive, unsigned)
    {
        archive & field("stops", stops_);
    }

private:
    friend escqrs::Access;
    void apply(const RoutePlanned& event) { stops_ += event.stops.size(); }

    std::uint64_t stops_ = 0;
};

/// Keeps a pointer to a class that it does not export.
struct Misplanned {
    static constexpr std::string_view event_name = "Misplanned";
    std::shared_ptr<route::Stop> stop;

    template <class Archive>
    void serialize(Archive& archive, unsigned)
    {
        archive & field("stop", stop);
    }
};
struct UnknownStop : route::Stop {};

struct Labelled {
    static constexpr std::string_view event_name = "Labelled";
    TextId<Labelled> label;

    template <class Archive>
    void serialize(Archive& archive, unsigned)
    {
        archive & field("label", label);
    }
};

struct Wide {
    static constexpr std::string_view event_name = "Wide";
    std::wstring text;
    std::bitset<4> bits;

    template <class Archive>
    void serialize(Archive& archive, unsigned)
    {
        archive & field("text", text) & field("bits", bits);
    }
};

/// Fails when it is read.
struct Unreadable {
    static constexpr std::string_view event_name = "Unreadable";
    static inline std::exception_ptr failure;
    int number = 7;

    template <class Archive>
    void serialize(Archive& archive, unsigned)
    {
        archive & field("number", number);
        if constexpr (Archive::is_loading::value) std::rethrow_exception(failure);
    }
};

/// Replaces a part of the bytes of an event, and reads it back.
template <class Event, class Format>
Event read_changed(const Event& event, std::string_view from, std::string_view to)
{
    const Codec<EventList<Event>, Format> codec;
    std::vector<std::byte> bytes;
    codec.encode(event, bytes);
    std::string text = text_of(bytes);
    text.replace(text.find(from), from.size(), to);
    const auto* const first = reinterpret_cast<const std::byte*>(text.data()); // NOLINT: text as bytes
    return std::move(
        std::get<0>(codec.decode({Event::event_name, 0, Format::content_type, {first, text.size()}}).at(0)));
}

constexpr std::string_view exported = "a class that this program exports with BOOST_CLASS_EXPORT, in a file that "
                                      "includes boost_text.hpp or boost_xml.hpp";

} // namespace

BOOST_CLASS_EXPORT_IMPLEMENT(route::Station)

TEMPLATE_TEST_CASE("boost formats: shared and polymorphic pointers read back", "[archive][boost]", BoostText, BoostXml)
{
    const RouteCodec<TestType> codec;
    std::vector<std::byte> bytes;
    codec.encode(route::planned(), bytes);
    const auto read = std::get<0>(codec.decode({"RoutePlanned", 0, TestType::content_type, bytes}).at(0));
    CHECK(read == route::planned());
    CHECK(read.stops.at(0) == read.favourite); // one object, as before
    CHECK(dynamic_cast<const route::Station*>(read.stops.at(1).get()) != nullptr);
}

TEMPLATE_TEST_CASE("boost formats: a class that is not exported is refused", "[archive][boost]", BoostText, BoostXml)
{
    const Codec<EventList<Misplanned>, TestType> codec;
    std::vector<std::byte> bytes;
    const std::string refusal = error_of([&] { codec.encode(Misplanned{std::make_shared<UnknownStop>()}, bytes); });
    CHECK(has(refusal, "event 'Misplanned': Boost"));
    CHECK(has(refusal, exported));
    CHECK(has(error_of([] { read_changed<RoutePlanned, TestType>(route::planned(), "route::Stat", "route::Port"); }),
              exported));
}

TEMPLATE_TEST_CASE("boost formats: serialize receives the event's schema version", "[archive][boost]", BoostText,
                   BoostXml)
{
    const auto event = measured();
    CHECK(read<TestType>(bytes_of<TestType>(event)) == event);

    std::vector<std::byte> old;
    typename TestType::Output{old}.root(event, 1);
    CHECK(text_of(old).find("new") == std::string::npos);
    const auto first = read<TestType>(old, 1);
    CHECK(first.truth);
    CHECK(first.since_2.empty());
}

TEMPLATE_TEST_CASE("boost formats: an id that is a text reads back, and another text is refused", "[archive][boost]",
                   BoostText, BoostXml)
{
    const auto read_back = [](std::string_view from, std::string_view to) {
        return read_changed<Labelled, TestType>({TextId<Labelled>{"BOLT-M6"}}, from, to).label;
    };
    CHECK(read_back("BOLT", "BOLT") == TextId<Labelled>{"BOLT-M6"});
    CHECK(has(error_of([&] { read_back("BOLT", "BO\tT"); }), "expected 1 to 96 bytes without control characters"));
}

TEST_CASE("boost formats: a codec reads its own format and the others it names", "[archive][boost]")
{
    const auto event = measured();
    const MeasuredCodec<Binary, BoostText, BoostXml> codec;
    const auto check = [&](std::string_view content_type, const std::vector<std::byte>& bytes) {
        CHECK(std::get<0>(codec.decode({"Measured", 3, content_type, bytes}).at(0)) == event);
    };
    check(Binary::content_type, bytes_of<Binary>(event));
    check(BoostText::content_type, bytes_of<BoostText>(event));
    check(BoostXml::content_type, bytes_of<BoostXml>(event));
    CHECK_THROWS_AS(read<BoostXml>(bytes_of<BoostText>(event)), CodecError);
    CHECK_THROWS_AS(read<BoostText>(bytes_of<BoostXml>(event)), CodecError);
}

TEMPLATE_TEST_CASE("boost formats: values read back to the same bits", "[archive][boost]", BoostText, BoostXml)
{
    sample::Generator random{7};
    for (int round = 0; round < 200; ++round) {
        Measured event{random.id(),   "", random.real<double>(), random.real<float>(), {}, random.flip(),
                       random.text(), {}};
        for (std::size_t left = random.below(30); left > 0; --left) {
            const auto byte = static_cast<char>(random.below(256)); // text need not be UTF-8
            if (byte == '\t' || byte == '\n' || byte == '\r' || static_cast<unsigned char>(byte) >= 0x20)
                event.text.push_back(byte);
        }
        std::erase(event.since_2, '\0');
        random.times([&] { event.integers.push_back(random.integer<std::int64_t>()); });
        const auto found = read<TestType>(bytes_of<TestType>(event));
        REQUIRE(found == event);
        REQUIRE(std::signbit(found.real) == std::signbit(event.real));
    }
}

TEMPLATE_TEST_CASE("boost formats: what could not be read is not written", "[archive][boost]", BoostText, BoostXml)
{
    auto event = measured();
    const bool is_xml = std::is_same_v<TestType, BoostXml>;
    SECTION("a number that is not finite")
    {
        event.real = GENERATE(std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN());
        CHECK(has(error_of([&] { bytes_of<TestType>(event); }), "not finite"));
    }
    SECTION("a control character, in XML")
    {
        event.text = std::string{"a\0b", 3};
        if (is_xml) {
            CHECK(has(error_of([&] { bytes_of<TestType>(event); }), "XML has no control character 0"));
        } else CHECK(read<TestType>(bytes_of<TestType>(event)) == event);
    }
}

TEMPLATE_TEST_CASE("boost formats: the bytes do not depend on the locale", "[archive][boost]", BoostText, BoostXml)
{
    const auto event = measured();
    const auto bytes = bytes_of<TestType>(event);
    const GlobalLocale locale{std::locale{std::locale::classic(), new GroupsOfThree}};
    REQUIRE((std::ostringstream{} << 1234567).str() == "1.234.567");
    CHECK(text_of(bytes_of<TestType>(event)) == text_of(bytes));
    CHECK(read<TestType>(bytes) == event);
}

TEMPLATE_TEST_CASE("boost formats: bytes cut short, changed or followed by others", "[archive][boost]", BoostText,
                   BoostXml)
{
    auto bytes = bytes_of<TestType>(measured());
    SECTION("every truncation is refused")
    {
        for (std::size_t length = 0; length < bytes.size(); ++length) {
            const std::vector<std::byte> start(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length));
            CHECK_THROWS_AS(read<TestType>(start), CodecError);
        }
    }
    SECTION("every single-bit flip of this event gives a value or a CodecError")
    {
        std::size_t refused = 0;
        for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
            auto flipped = bytes;
            flipped[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
            try {
                read<TestType>(flipped);
            } catch (const CodecError&) {
                ++refused;
            }
        }
        CHECK(refused > bytes.size());
    }
    SECTION("what follows is refused")
    {
        bytes.push_back(std::byte{' '});
        CHECK(has(error_of([&] { read<TestType>(bytes); }), "expected the end"));
    }
    SECTION("a length beyond the bytes is refused")
    {
        const std::string text = text_of(bytes);
        const std::string count = std::is_same_v<TestType, BoostText> ? " 3 0 -1 " : "<count>3<";
        const std::size_t at = text.find(count);
        REQUIRE(at != std::string::npos);
        const std::string hostile =
            text.substr(0, at + count.find('3')) + "999999999" + text.substr(at + count.find('3') + 1);
        CHECK(has(error_of([&] { read<TestType>(sample::bytes_of(hostile)); }), "a smaller number of elements"));
    }
}

TEMPLATE_TEST_CASE("boost formats: a value that its type does not take is a CodecError", "[archive][boost]", BoostText,
                   BoostXml)
{
    const Wide wide{L"Zoe", 6};
    CHECK(read_changed<Wide, TestType>(wide, "0110", "0011").bits == 3);
    CHECK(has(error_of([&] { read_changed<Wide, TestType>(wide, "0110", "0210"); }), "a value that its type takes ("));

    const auto read_unreadable = [](const auto& failure) {
        Unreadable::failure = std::make_exception_ptr(failure);
        read_changed<Unreadable, TestType>({}, "7", "7");
    };
    CHECK(has(error_of([&] { read_unreadable(std::out_of_range{"no such day"}); }), "takes (no such day), found"));
    CHECK_THROWS_AS(read_unreadable(std::bad_alloc{}), std::bad_alloc); // not the bytes' fault
}

TEST_CASE("boost formats: a wide text reads back, and is not longer than the bytes", "[archive][boost]")
{
    const Wide wide{L"Zo\u00EB", 6};
    CHECK(read_changed<Wide, BoostText>(wide, "0110", "0110").text == wide.text);
    CHECK(has(error_of([&] { read_changed<Wide, BoostText>(wide, " 3 ", " 999999999 "); }),
              "a smaller number of elements"));
}

TEST_CASE("boost formats: a field that had another name in XML is refused by name", "[archive][boost]")
{
    std::string text = text_of(bytes_of<BoostXml>(measured()));
    const std::string longer = "realNumberWithALongName";
    text.replace(text.find("<real>") + 1, 4, longer);
    text.replace(text.find("</real>") + 2, 4, longer);
    CHECK(has(error_of([&] { read<BoostXml>(sample::bytes_of(text)); }), "mismatch - real), found"));
}

TEST_CASE("boost formats: an error says what was expected, what was found, and where", "[archive][boost]")
{
    const auto bytes =
        sample::bytes_of("22 serialization::archive 18 0 0 123e4567-e89b-12d3-a456-426614174000 1 a x\n");
    REQUIRE_THROWS_WITH(read<BoostText>(bytes),
                        "event 'Measured': Boost text archive: expected another value, found 'x ' at byte 74 of 76, "
                        "after 'e89b-12d3-a456-426614174000 1 a '");
}

TEST_CASE("boost formats: an aggregate stores its events so, and its snapshots as ever", "[archive][boost]")
{
    in_memory::EventStore store;
    RepositoryOptions options;
    options.snapshots = SnapshotPolicy::every(1);
    const Repository<Journey, in_memory::EventStore> journeys{store, options};
    const Journey::Id id{random_uuid()};
    Journey journey{id};
    journey.plan();
    journeys.save(journey);
    CHECK(journeys.get(id).stops() == 3);
    store.read_log({}, 10, [&](const RecordedEvent& event) {
        CHECK(event.content_type == BoostText::content_type);
        return true;
    });
    bool has_snapshot = false;
    store.read_snapshot(StreamId{"journey", to_string(id)}, [&](const Snapshot&) { has_snapshot = true; });
    CHECK(has_snapshot);
}

TEST_CASE("boost formats: messages are JSON, or Boost's where JSON has no words", "[archive][boost]")
{
    const StreamId stream{"journey", "1"};
    const auto message_of = [&](auto translate, const EncodedEvent& event) {
        const Message message = translate({stream,
                                           StreamVersion{1},
                                           GlobalPosition{1},
                                           Timestamp{},
                                           EventId{random_uuid()},
                                           event.type,
                                           event.schema_version,
                                           event.content_type,
                                           event.payload,
                                           {}});
        std::size_t read = 0;
        translate.decode(message, [&](const auto&, const EventContext&) { ++read; });
        CHECK(read == 1);
        return message;
    };
    const auto text = bytes_of<BoostText>(measured());
    const auto json = message_of(CloudEvents<EventList<Measured>, BoostText>{"/here"},
                                 {"Measured", 3, BoostText::content_type, text});
    CHECK(json.content_type == "application/json");
    CHECK(has(json.body, R"("integers":[-1,1234567,)"));

    std::vector<std::byte> bytes;
    RouteCodec<BoostXml>{}.encode(route::planned(), bytes);
    const auto xml = message_of(CloudEvents<EventList<RoutePlanned>, BoostXml, BoostXml>{"/here"},
                                {"RoutePlanned", 0, BoostXml::content_type, bytes});
    CHECK(xml.content_type == BoostXml::content_type);
    CHECK(has(xml.body, "<kilometres>1.27"));
}
