// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/codec/archive/json.hpp>
#include <escqrs/codec/upcasting.hpp>
#include <escqrs/commands/repository.hpp>
#include <escqrs/domain/aggregate_root.hpp>
#include <escqrs/in_memory/checkpoint.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/messaging/cloud_events.hpp>
#include <escqrs/projections/projection.hpp>
#include <escqrs/testing/catch2.hpp>

#include <optional>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

using namespace escqrs;

namespace {

/// Reads version 2, which had no room, too.
struct GuestArrived {
    static constexpr std::string_view event_name = "GuestArrived";
    static constexpr unsigned schema_version = 3;
    static constexpr unsigned oldest_schema_version = 2;
    std::string given;
    std::string family;
    std::string room;

    template <class Archive>
    void serialize(Archive& archive, unsigned version)
    {
        archive & field("given", given) & field("family", family);
        if (version >= 3) archive & field("room", room);
    }
};

struct RoomLeft {
    static constexpr std::string_view event_name = "RoomLeft";
    std::string room;
    void serialize(auto& archive, unsigned /*version*/) { archive & field("room", room); }
};

struct RoomTaken {
    static constexpr std::string_view event_name = "RoomTaken";
    std::string room;
    void serialize(auto& archive, unsigned /*version*/) { archive & field("room", room); }
};

struct GuestArrivedV0 {
    static constexpr std::string_view event_name = "GuestArrived";
    std::string name;
    void serialize(auto& archive, unsigned /*version*/) { archive & field("name", name); }
};

struct GuestArrivedV1 {
    static constexpr std::string_view event_name = "GuestArrived";
    static constexpr unsigned schema_version = 1;
    std::string name;
    std::string title;
    void serialize(auto& archive, unsigned /*version*/) { archive & field("name", name) & field("title", title); }
};

struct RoomChanged {
    static constexpr std::string_view event_name = "RoomChanged";
    std::string from;
    std::string to;
    void serialize(auto& archive, unsigned /*version*/) { archive & field("from", from) & field("to", to); }
};

/// Several changes at once: older still.
struct RoomsChanged {
    static constexpr std::string_view event_name = "RoomsChanged";
    std::vector<std::string> rooms;
    void serialize(auto& archive, unsigned /*version*/) { archive & field("rooms", rooms); }
};

struct DoorMoved {
    static constexpr std::string_view event_name = "DoorMoved";
    bool open = false;
    std::string room;
    void serialize(auto& archive, unsigned /*version*/) { archive & field("open", open) & field("room", room); }
};

GuestArrivedV1 with_title(const GuestArrivedV0& old) { return {old.name, "guest"}; }

GuestArrived split_name(const GuestArrivedV1& old)
{
    const auto blank = old.name.find(' ');
    return {old.name.substr(0, blank), blank == std::string::npos ? "" : old.name.substr(blank + 1), old.title};
}

std::tuple<RoomLeft, RoomTaken> as_two(const RoomChanged& old) { return {{old.from}, {old.to}}; }

/// The last of the changes is a RoomTaken, the others are RoomChanged.
std::vector<std::variant<RoomChanged, RoomTaken>> as_many(const RoomsChanged& old)
{
    std::vector<std::variant<RoomChanged, RoomTaken>> events;
    for (std::size_t at = 0; at + 1 < old.rooms.size(); ++at)
        events.emplace_back(RoomChanged{old.rooms[at], old.rooms[at + 1]});
    if (!old.rooms.empty()) events.emplace_back(RoomTaken{old.rooms.back()});
    return events;
}

std::optional<RoomLeft> only_open(const DoorMoved& old)
{
    if (!old.open) return std::nullopt;
    return RoomLeft{old.room};
}

using CurrentEvents = EventList<GuestArrived, RoomLeft, RoomTaken>;
using HotelEvents = Evolution<CurrentEvents, Upcast<split_name>, Upcast<with_title>, Upcast<as_two>, Upcast<&as_many>,
                              Upcast<only_open>, Rename<"RoomEmptied", RoomLeft>, Rename<"DoorOpened", DoorMoved>,
                              Drop<"NewsletterSent">>;

template <class Format>
struct Stored {
    template <class E>
    Stored(const E& event, std::string_view name = event_name<E>(), unsigned version = schema_version<E>())
        : type{name}, schema_version_{version}
    {
        typename Format::Output{bytes}.root(const_cast<E&>(event), version);
    }
    EncodedEvent encoded() const { return {type, schema_version_, Format::content_type, bytes}; }

    std::string type;
    unsigned schema_version_;
    std::vector<std::byte> bytes;
};

/// What `event` comes to, one line for each event.
template <class Format, class... Arguments>
std::vector<std::string> upcast(Arguments&&... arguments)
{
    const Stored<Format> stored{std::forward<Arguments>(arguments)...};
    const Codec<HotelEvents, Format> codec;
    typename Codec<HotelEvents, Format>::Scratch scratch;
    std::vector<std::string> lines;
    codec.decode(stored.encoded(), scratch, [&](const auto& event) {
        using E = std::remove_cvref_t<decltype(event)>;
        static_assert(CurrentEvents::contains<E>);
        std::string line{event_name<E>()};
        if constexpr (std::is_same_v<E, GuestArrived>)
            line += " " + event.given + "/" + event.family + "/" + event.room;
        else line += " " + event.room;
        lines.push_back(line);
    });
    return lines;
}

using Lines = std::vector<std::string>;

class Hotel : public AggregateRoot<Hotel, GuestArrived, RoomLeft, RoomTaken> {
public:
    static constexpr std::string_view category = "hotel";
    explicit Hotel(const Id& id) : AggregateRoot{id} {}
    void apply(const GuestArrived& event) { log += "guest " + event.family + ";"; }
    void apply(const RoomLeft& event) { log += "left " + event.room + ";"; }
    void apply(const RoomTaken& event) { log += "taken " + event.room + ";"; }
    void take(const std::string& room) { raise(RoomTaken{room}); }
    std::string log;
};

/// A stream as an earlier release left it: two events that still are, one of two parts, and a dropped one.
class OldStream {
public:
    OldStream()
    {
        append(Stored<archive::Binary>{GuestArrivedV0{"Ada Lovelace"}});
        append(Stored<archive::Binary>{RoomChanged{"1", "2"}});
        append(Stored<archive::Binary>{RoomTaken{"x"}, "NewsletterSent"});
        append(Stored<archive::Binary>{RoomLeft{"3"}});
    }

    void append(const Stored<archive::Binary>& stored)
    {
        const NewEvent event{EventId{random_uuid()},        stored.type,  stored.schema_version_,
                             archive::Binary::content_type, stored.bytes, {}};
        store.append(stream, ExpectedVersion::any(), {&event, 1});
    }

    Hotel::Id id{random_uuid()};
    StreamId stream{Hotel::category, id.value()};
    in_memory::EventStore store;
};

/// Handles some of the events only.
struct RoomHandlers {
    using Events = EventList<RoomLeft, RoomTaken>;

    void handle(const RoomLeft& event, const EventContext& context) { note("left " + event.room, context); }
    void handle(const RoomTaken& event, const EventContext& context) { note("taken " + event.room, context); }
    void note(const std::string& text, const EventContext& context)
    {
        lines.push_back(std::to_string(context.version.value()) + "." + std::to_string(context.part) + " " + text);
    }
    void clear() { lines.clear(); }

    Lines lines;
};

std::string property(const Message& message, const std::string& name)
{
    return std::string{message.properties.find(name).value_or("(none)")};
}

} // namespace

TEMPLATE_TEST_CASE("an event is upcast from every version there was", "", archive::Binary, archive::Json)
{
    CHECK(upcast<TestType>(GuestArrived{"Ada", "Lovelace", "7"}) == Lines{"GuestArrived Ada/Lovelace/7"});
    CHECK(upcast<TestType>(GuestArrived{"Ada", "Lovelace", "7"}, "GuestArrived", 2U) ==
          Lines{"GuestArrived Ada/Lovelace/"});
    CHECK(upcast<TestType>(GuestArrivedV1{"Ada Lovelace", "7"}) == Lines{"GuestArrived Ada/Lovelace/7"});
    CHECK(upcast<TestType>(GuestArrivedV0{"Ada Lovelace"}) == Lines{"GuestArrived Ada/Lovelace/guest"});
}

TEMPLATE_TEST_CASE("one event becomes several, or none, also within a chain", "", archive::Binary, archive::Json)
{
    CHECK(upcast<TestType>(RoomChanged{"1", "2"}) == Lines{"RoomLeft 1", "RoomTaken 2"});
    CHECK(upcast<TestType>(RoomsChanged{{"1", "2", "3"}}) ==
          Lines{"RoomLeft 1", "RoomTaken 2", "RoomLeft 2", "RoomTaken 3", "RoomTaken 3"});
    CHECK(upcast<TestType>(RoomsChanged{}).empty());
    CHECK(upcast<TestType>(DoorMoved{true, "1"}) == Lines{"RoomLeft 1"});
    CHECK(upcast<TestType>(DoorMoved{false, "1"}).empty());
}

TEMPLATE_TEST_CASE("a renamed event is read under its old name and its new one", "", archive::Binary, archive::Json)
{
    CHECK(upcast<TestType>(RoomLeft{"1"}, "RoomEmptied") == Lines{"RoomLeft 1"});
    CHECK(upcast<TestType>(RoomLeft{"1"}) == Lines{"RoomLeft 1"});
    CHECK(upcast<TestType>(DoorMoved{true, "1"}, "DoorOpened") == Lines{"RoomLeft 1"});
    CHECK_THROWS_AS(upcast<TestType>(RoomLeft{"1"}, "RoomEmptied", 1U), NewerSchemaVersion);
}

TEST_CASE("a dropped event is known and gives nothing, whatever it holds")
{
    using HotelCodec = Codec<HotelEvents>;
    CHECK(HotelCodec::knows("NewsletterSent"));
    CHECK(HotelCodec{}.decode({"NewsletterSent", 9, "text/plain", {}}).empty());
    CHECK(HotelCodec::knows("RoomEmptied"));
    CHECK(HotelCodec::knows("RoomChanged"));
    CHECK_FALSE(HotelCodec::knows("RoomPainted"));
    CHECK_THROWS_AS(HotelCodec{}.decode({"RoomPainted", 0, "text/plain", {}}), UnknownEventType);
}

TEST_CASE("a version newer than all known ones is distinguished from one that is no longer read")
{
    using HotelCodec = Codec<HotelEvents>;
    try {
        (void)HotelCodec{}.decode({"GuestArrived", 4, HotelCodec::content_type, {}});
        FAIL("decoded");
    } catch (const NewerSchemaVersion& error) {
        CHECK(error.name() == "GuestArrived");
        CHECK(error.found() == 4);
        CHECK(error.known() == 3);
    }
    // Without the upcasters nothing reads version 1.
    using Plain = Codec<CurrentEvents>;
    CHECK_THROWS_AS(Plain{}.decode({"GuestArrived", 4, Plain::content_type, {}}), NewerSchemaVersion);
    CHECK_THROWS_WITH(Plain{}.decode({"GuestArrived", 1, Plain::content_type, {}}), Catch::Contains("older than"));
}

TEST_CASE("a repository rebuilds an aggregate from old events and continues from their version")
{
    OldStream old;
    const Repository<Hotel, in_memory::EventStore, Codec<HotelEvents>> hotels{old.store};
    auto hotel = hotels.get(old.id);
    CHECK(hotel.log == "guest Lovelace;left 1;taken 2;left 3;");
    CHECK(hotel.version() == StreamVersion{4});
    hotel.take("4");
    CHECK(hotels.save(hotel).version == StreamVersion{5});
    CHECK(hotels.get(old.id).log == "guest Lovelace;left 1;taken 2;left 3;taken 4;");
}

TEST_CASE("a projection tells the parts of one stored event apart, and may handle only some events")
{
    OldStream old;
    in_memory::Checkpoint place;
    RoomHandlers rooms;
    Projection<in_memory::EventStore, in_memory::Checkpoint, RoomHandlers, Codec<HotelEvents>> projection{old.store,
                                                                                                          place, rooms};
    projection.catch_up();
    CHECK(rooms.lines == Lines{"2.0 left 1", "2.1 taken 2", "4.0 left 3"});
}

namespace {

struct KeyMoved {
    static constexpr std::string_view event_name = "KeyMoved";
    std::string from;
    void serialize(auto& archive, unsigned /*version*/) { archive & field("from", from); }
};

struct KeyFound {
    static constexpr std::string_view event_name = "KeyFound";
    void serialize(auto& /*archive*/, unsigned /*version*/) {}
};

std::tuple<RoomLeft, KeyFound> key_parts(const KeyMoved& old) { return {{old.from}, {}}; }

RoomTaken later_part(const KeyFound& /*old*/)
{
    static int calls = 0;
    if (++calls % 2 != 0) throw CodecError{"no such key"};
    throw UnknownEventType{"KeyTurned"};
}

using KeyCodec = Codec<Evolution<CurrentEvents, Upcast<key_parts>, Upcast<later_part>>>;

} // namespace

TEST_CASE("a later part of an event that cannot be upcast is the event's failure, not the handler's")
{
    in_memory::EventStore store;
    in_memory::Checkpoint place;
    RoomHandlers rooms;
    const Stored<archive::Binary> stored{KeyMoved{"1"}};
    const NewEvent event{EventId{random_uuid()}, stored.type, 0, archive::Binary::content_type, stored.bytes, {}};
    const auto stream = StreamId{"hotel", "1"};
    store.append(stream, ExpectedVersion::any(), {&event, 1});
    SubscriptionOptions options;
    options.unknown_events = UnknownEvents::skip;
    int skipped = 0;
    options.on_skipped = [&](const RecordedEvent&, const std::exception&) { ++skipped; };
    Projection<in_memory::EventStore, in_memory::Checkpoint, RoomHandlers, KeyCodec> projection{store, place, rooms,
                                                                                                options};
    try {
        projection.catch_up();
        FAIL("handled");
    } catch (const HydrationError& error) {
        CHECK(error.stream() == stream);
        CHECK(error.position() == GlobalPosition{1});
        CHECK_THAT(error.what(), Catch::Contains("no such key"));
    }
    CHECK(projection.catch_up() == GlobalPosition{1}); // of newer code, this time
    CHECK(skipped == 1);
}

TEST_CASE("a queue carries the stored shape, one message for each event, and the receiver upcasts")
{
    OldStream old;
    CloudEvents<HotelEvents> translate{"/hotel"};
    std::vector<Message> messages;
    old.store.read_log({}, 10, [&](const RecordedEvent& event) {
        messages.push_back(translate(event));
        return true;
    });
    REQUIRE(messages.size() == 4);
    CHECK(messages[0].subject == "GuestArrived");
    CHECK(messages[0].body == R"({"name":"Ada Lovelace"})");
    CHECK(property(messages[0], "cloudEvents:schemaversion") == "0");
    CHECK(messages[1].subject == "RoomChanged");
    CHECK(property(messages[1], "cloudEvents:type") == "RoomChanged");
    CHECK(messages[1].body == R"({"from":"1","to":"2"})");
    CHECK(property(messages[2], "cloudEvents:type") == "NewsletterSent");
    CHECK(messages[2].content_type == archive::Binary::content_type);

    Lines seen;
    CloudEvents<HotelEvents> receive{"/elsewhere"};
    for (const Message& message : messages) {
        const EventContext whole = receive.decode(message, [&](const auto& event, const EventContext& context) {
            seen.push_back(std::to_string(context.version.value()) + "." + std::to_string(context.part) + " " +
                           std::string{event.event_name});
            CHECK(context.id == EventId::parse(message.message_id));
        });
        CHECK(whole.part == 0);
        CHECK(whole.version.value() == static_cast<std::size_t>(&message - messages.data()) + 1);
    }
    CHECK(seen == Lines{"1.0 GuestArrived", "2.0 RoomLeft", "2.1 RoomTaken", "4.0 RoomLeft"});
}

TEST_CASE("a renamed event goes out under its new name")
{
    OldStream old;
    old.append(Stored<archive::Binary>{RoomLeft{"5"}, "RoomEmptied"});
    CloudEvents<HotelEvents> translate{"/hotel"};
    Message message;
    old.store.read_log(GlobalPosition{4}, 1, [&](const RecordedEvent& event) {
        message = translate(event);
        return true;
    });
    CHECK(message.subject == "RoomLeft");
    CHECK(property(message, "cloudEvents:type") == "RoomLeft");
}

TEST_CASE("an unknown or newer event is not relayed")
{
    OldStream old;
    SECTION("unknown") { old.append(Stored<archive::Binary>{RoomLeft{"5"}, "RoomPainted"}); }
    SECTION("newer") { old.append(Stored<archive::Binary>{RoomLeft{"5"}, "RoomLeft", 1U}); }
    CloudEvents<HotelEvents> translate{"/hotel"};
    const auto relay = [&](const RecordedEvent& event) {
        (void)translate(event);
        return true;
    };
    CHECK_THROWS_AS(old.store.read_log(GlobalPosition{4}, 1, relay), CodecError);
}
