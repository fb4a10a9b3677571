// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/account.hpp"

#include <escqrs/codec/archive/json.hpp>
#include <escqrs/codec/codec.hpp>
#include <escqrs/commands/repository.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/messaging/cloud_events.hpp>
#include <escqrs/testing/catch2.hpp>

#include <chrono>
#include <cstddef>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

using namespace escqrs;

namespace {

struct Place {
    std::string street{};
    double height = 0;

    void serialize(auto& archive, unsigned) { archive & field("street", street) & field("height", height); }
};

/// A value of each kind that can be stored and not be sent, at every depth.
struct Surveyed {
    static constexpr std::string_view event_name = "Surveyed";
    Place place{};
    std::vector<double> heights{};
    std::vector<std::string> notes{};
    std::map<std::string, std::optional<float>> readings{};
    std::chrono::duration<double> took{};
    Timestamp at{};
    std::chrono::sys_time<std::chrono::hours> due{};

    void serialize(auto& archive, unsigned)
    {
        archive & field("place", place) & field("heights", heights) & field("notes", notes) &
            field("readings", readings) & field("took", took) & field("at", at) & field("due", due);
    }
};

class Survey : public AggregateRoot<Survey, Surveyed> {
public:
    static constexpr std::string_view category = "survey";
    explicit Survey(const Id& id) : AggregateRoot{id} {}
    void record(Surveyed event) { raise(std::move(event)); }
    void apply(const Surveyed&) {}
};

/// Nested as deep as wished.
struct Tree {
    static constexpr std::string_view event_name = "Tree";
    std::vector<Tree> children;

    void serialize(auto& archive, unsigned) { archive & field("children", children); }
};

struct AnyValues : archive::Binary {
    static constexpr bool json_values_only = false;
};

using Surveys = Repository<Survey, in_memory::EventStore>;

std::string refusal_of(const Surveyed& event, const Metadata& metadata = no_metadata, RepositoryOptions options = {})
{
    in_memory::EventStore store;
    const Surveys surveys{store, std::move(options)};
    Survey survey{Survey::Id{random_uuid()}};
    survey.record(event);
    try {
        surveys.save(survey, metadata);
    } catch (const CodecError& error) {
        CHECK(store.head() == GlobalPosition{});
        return error.what();
    }
    return "saved";
}

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr auto not_a_number = std::numeric_limits<float>::quiet_NaN();

} // namespace

TEST_CASE("an event that JSON cannot express is refused when it is saved, by event and field")
{
    CHECK(refusal_of({}) == "saved");
    CHECK(refusal_of({.place = {"Rue André 1 \xF0\x9F\x98\x80", -1.5}, .heights = {1, 2}, .readings = {{"a", 1.0F}}}) ==
          "saved");

    CHECK_THAT(refusal_of({.place = {"Andr\xE9"}}), Catch::Contains("event 'Surveyed'") &&
                                                        Catch::Contains("'street'") && Catch::Contains("UTF-8") &&
                                                        Catch::Contains("byte 4"));
    CHECK_THAT(refusal_of({.place = {"long enough for words \xC3\xA9, and \xED\xA0\x80"}}), Catch::Contains("byte 30"));
    CHECK_THAT(refusal_of({.place = {{}, infinity}}), Catch::Contains("'height'") && Catch::Contains("not finite"));
    CHECK_THAT(refusal_of({.heights = {1, -infinity}}), Catch::Contains("'heights'") && Catch::Contains("not finite"));
    CHECK_THAT(refusal_of({.notes = {"fine", "\xFF"}}), Catch::Contains("'notes'") && Catch::Contains("UTF-8"));
    CHECK_THAT(refusal_of({.readings = {{"\x80", 1.0F}}}), Catch::Contains("'readings'") && Catch::Contains("UTF-8"));
    CHECK_THAT(refusal_of({.readings = {{"a", not_a_number}}}), Catch::Contains("'readings'"));
    CHECK_THAT(refusal_of({.took = std::chrono::duration<double>{infinity}}), Catch::Contains("'took'"));
    CHECK_THAT(refusal_of({.at = Timestamp::max()}), Catch::Contains("'at'") && Catch::Contains("0 to 9999"));
    using Hours = std::chrono::sys_time<std::chrono::hours>;
    CHECK_THAT(refusal_of({.due = Hours{std::chrono::hours{24 * 365 * 9000}}}), Catch::Contains("'due'"));
}

TEST_CASE("an event that is nested deeper than JSON is written is refused when it is saved")
{
    const auto nested = [](unsigned levels) {
        Tree tree;
        while (--levels > 0) {
            Tree outer;
            outer.children.push_back(std::move(tree));
            tree = std::move(outer);
        }
        return tree;
    };
    const Codec<EventList<Tree>> codec;
    const Codec<EventList<Tree>, archive::Json> as_json;
    std::vector<std::byte> bytes;
    codec.encode(nested(32), bytes); // each is an object and an array
    as_json.encode(nested(32), bytes);
    CHECK_THROWS_WITH(as_json.encode(nested(33), bytes), Catch::Contains("64 deep"));
    CHECK_THROWS_WITH(codec.encode(nested(33), bytes), Catch::Contains("event 'Tree'") && Catch::Contains("64 deep"));
    Codec<EventList<Tree>, AnyValues>{}.encode(nested(60), bytes);
}

TEST_CASE("events that are never sent as JSON can be stored whatever they hold")
{
    const Codec<EventList<Surveyed>, AnyValues> codec;
    std::vector<std::byte> bytes;
    codec.encode(Surveyed{.place = {"\xFF", infinity}, .at = Timestamp::max()}, bytes);
    const auto decoded = Codec<EventList<Surveyed>>{}.decode({"Surveyed", 0, archive::Binary::content_type, bytes});
    CHECK(std::get<Surveyed>(decoded.at(0)).place.street == "\xFF");
}

TEST_CASE("metadata that no message can carry is refused when it is saved, by field")
{
    CHECK(refusal_of({}, {.actor = "ada", .headers = {{"via", "one"}, {"Via", "two"}, {"cloudEvents", ""}}}) ==
          "saved");

    CHECK_THAT(refusal_of({}, {.headers = {{"via", "one"}, {"tenant", "a"}, {"via", "two"}}}),
               Catch::Contains("header 'via'") && Catch::Contains("more than once"));
    CHECK_THAT(refusal_of({}, {.headers = {{"cloudEvents:type", "Forged"}}}),
               Catch::Contains("'cloudEvents:type'") && Catch::Contains("CloudEvents attribute"));
    CHECK_THAT(refusal_of({}, {.headers = {{"cloudEvents_type", "Forged"}}}), Catch::Contains("'cloudEvents_type'"));
    CHECK_THAT(refusal_of({}, {.headers = {{"", "nameless"}}}), Catch::Contains("no name"));
    CHECK_THAT(refusal_of({}, {.headers = {{"via", "\xE9"}}}), Catch::Contains("header 'via'"));
    CHECK_THAT(refusal_of({}, {.headers = {{"\xE9", "x"}}}), Catch::Contains("name of a header"));
    CHECK_THAT(refusal_of({}, {.actor = "Andr\xE9"}), Catch::Contains("actor"));
    CHECK_THAT(refusal_of({}, {.traceparent = "\xE9"}), Catch::Contains("traceparent"));
}

TEST_CASE("an event that is larger than the options allow is refused when it is saved")
{
    RepositoryOptions options;
    options.max_event_size = 1000;
    CHECK(refusal_of({.notes = {std::string(900, 'x')}}, no_metadata, options) == "saved");
    CHECK_THAT(refusal_of({.notes = {std::string(1000, 'x')}}, no_metadata, options),
               Catch::Contains("event 'Surveyed'") && Catch::Contains("at most 1000") &&
                   Catch::Contains("max_event_size"));
    CHECK_THAT(refusal_of({.notes = {std::string(900, 'x')}}, {.actor = std::string(100, 'a')}, options),
               Catch::Contains("max_event_size"));
}

TEST_CASE("what was saved is sent and read back as it was")
{
    in_memory::EventStore store;
    const Surveys surveys{store};
    Survey survey{Survey::Id{random_uuid()}};
    survey.record({.place = {"Rue André 1", -1.5},
                   .heights = {0.1, std::numeric_limits<double>::max()},
                   .notes = {"\u00E9\t\"\\"},
                   .readings = {{"a", 1.5F}, {"b", std::nullopt}},
                   .at = Timestamp{Duration{1}}});
    const Metadata metadata{.actor = "André", .headers = {{"via", ""}, {"tenant", "nord"}}};
    surveys.save(survey, metadata);
    CloudEvents<EventList<Surveyed>> events{"/surveys"};
    store.read_log(GlobalPosition{}, 10, [&](const RecordedEvent& recorded) {
        const Message message = events(recorded);
        const auto context = events.decode(message, [&](const Surveyed& event, const EventContext&) {
            CHECK(event.place.street == "Rue André 1");
            CHECK(event.heights == std::vector{0.1, std::numeric_limits<double>::max()});
            CHECK(event.readings.at("b") == std::nullopt);
        });
        CHECK(context.metadata == metadata);
        return true;
    });
}
