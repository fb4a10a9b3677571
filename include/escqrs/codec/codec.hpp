// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/codec/archive/binary.hpp>
#include <escqrs/codec/metadata.hpp>
#include <escqrs/core/error.hpp>
#include <escqrs/core/metadata.hpp>
#include <escqrs/domain/event.hpp>
#include <escqrs/store/recorded_event.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace escqrs::inline v0 {

/// The bytes of one event and what is needed to read them. Views only.
struct EncodedEvent {
    std::string_view type;         ///< event name
    unsigned schema_version = 0;   ///< of the event type when it was written
    std::string_view content_type; ///< of the payload: its format
    Bytes payload;                 ///< the event's content
};

/// Views the stored form of an event; valid as long as `event` is.
inline EncodedEvent encoded(const RecordedEvent& event) noexcept
{
    return {event.type, event.schema_version, event.content_type, event.payload};
}

namespace detail {

/// The versions of one event name that one type's `serialize` reads.
struct SchemaRange {
    std::string_view name;
    unsigned oldest = 0;
    unsigned newest = 0;
};

/// An object of each type. Cheaper to compile than a `std::tuple`, which consists of as many types again.
template <class Event>
struct OneObject {
    Event object{};
};
template <class... Events>
struct Objects : OneObject<Events>... {};

/// What a list of events, or a type that names one, says about bytes: which type reads them, and what the result
/// becomes.
template <class List>
struct Schema : Schema<typename EventsOf<List>::Type> {};

template <class... Events>
struct Schema<EventList<Events...>> {
    using Types = EventList<Events...>;
    using Event = std::variant<Events...>;
    using Objects = detail::Objects<Events...>;

    static constexpr std::array<SchemaRange, sizeof...(Events)> ranges{
        SchemaRange{event_name<Events>(), oldest_schema_version<Events>(), schema_version<Events>()}...};

    template <std::size_t Index>
    using Reader = std::tuple_element_t<Index, std::tuple<Events...>>;

    template <class E>
    static constexpr bool reads = Types::template contains<E>;

    static constexpr bool drops(std::string_view /*type*/) noexcept { return false; }

    template <class E, class Visitor>
    static void upcast(E& event, Visitor& visit)
    {
        visit(event);
    }
};

template <class E>
constexpr bool require_default_constructor() noexcept
{
    static_assert(std::is_default_constructible_v<E>,
                  "escqrs: this event has no public default constructor; give it one: an event that is read is made "
                  "first and filled by its serialize then");
    return true;
}

template <class... Events>
constexpr bool require_default_constructors(const Objects<Events...>* /*objects*/) noexcept
{
    return (require_default_constructor<Events>() && ...);
}

/// `text == expected`, whose size the compiler knows: word by word, which saves a third of the time of decoding.
template <std::size_t Size>
[[gnu::always_inline]] inline bool is_text(std::string_view text, std::string_view expected) noexcept
{
    if (text.size() != Size) return false;
    if constexpr (Size < sizeof(std::uint64_t)) return std::memcmp(text.data(), expected.data(), Size) == 0;
    else {
        std::uint64_t difference = 0;
        const auto compare = [&](std::size_t at) {
            std::uint64_t word = 0;
            std::uint64_t expected_word = 0;
            std::memcpy(&word, text.data() + at, sizeof word);
            std::memcpy(&expected_word, expected.data() + at, sizeof word);
            difference |= word ^ expected_word;
        };
        for (std::size_t at = 0; at + sizeof(std::uint64_t) < Size; at += sizeof(std::uint64_t)) compare(at);
        compare(Size - sizeof(std::uint64_t)); // may overlap the one before
        return difference == 0;
    }
}

/// Says why none of `ranges` reads the event.
[[noreturn]] inline void refuse_event(const EncodedEvent& event, std::span<const SchemaRange> ranges)
{
    const SchemaRange* newest = nullptr;
    for (const SchemaRange& range : ranges) {
        if (range.name == event.type && (newest == nullptr || newest->newest < range.newest)) newest = &range;
    }
    if (newest == nullptr) throw UnknownEventType{std::string{event.type}};
    if (event.schema_version > newest->newest)
        throw NewerSchemaVersion{std::string{event.type}, event.schema_version, newest->newest};
    throw CodecError{"event '" + std::string{event.type} + "' has schema version " +
                     std::to_string(event.schema_version) + ", which is older than this program reads"};
}

[[noreturn, gnu::cold, gnu::noinline]] inline void fail_decoding(const EncodedEvent& event, const CodecError& error)
{
    throw CodecError{"event '" + std::string{event.type} + "': " + error.what()};
}

[[noreturn, gnu::cold, gnu::noinline]] inline void refuse_content_type(const EncodedEvent& event)
{
    throw CodecError{"event '" + std::string{event.type} + "' has content type '" + std::string{event.content_type} +
                     "', which this codec does not read"};
}

[[noreturn, gnu::cold, gnu::noinline]] inline void fail_encoding(std::string_view type, const CodecError& error)
{
    throw CodecError{"event '" + std::string{type} + "': " + error.what()};
}

/// `object = T{}`, but with all of it inlined: then the compiler sees that nothing is left to move or to free, and a
/// text costs two stores instead of 30 instructions. Texts keep their memory, in the standard libraries that move so.
template <class T>
[[gnu::flatten]] void reset(T& object)
{
    object = T{};
}

/// Reads the event if it is written in this format. One function for all codecs that read such events.
template <class InputFormat, class E>
bool read_if(const EncodedEvent& encoded, E& event)
{
    constexpr std::string_view known = InputFormat::content_type;
    if (!is_text<known.size()>(encoded.content_type, known)) return false;
    reset(event); // fields that older bytes do not hold must not show the previous event's
    typename InputFormat::Input input{encoded.payload};
    try {
        input.root(event, encoded.schema_version);
        input.finish();
    } catch (const CodecError& error) {
        fail_decoding(encoded, error);
    }
    return true;
}

} // namespace detail

/// Turns the events of a list into bytes and back.
///
/// Writes `Format`; reads `Format` and `OtherFormats`, told apart by content type. `List` is an `EventList`, or an
/// `Evolution`, which also converts events of older shapes; or the aggregate, decider or handlers that name one of
/// these as their `Events`. It is closed, so the way from an event name to a type is resolved at compile time.
/// @par Thread safety  has no state; any thread
template <class List, class Format = archive::Binary, class... OtherFormats>
class Codec {
    using Schema = detail::Schema<List>;
    static_assert(detail::require_default_constructors(static_cast<typename Schema::Objects*>(nullptr)));

public:
    /// The events as an `EventList`, without the rules of an `Evolution`.
    using Types = typename Schema::Types;
    /// A `std::variant` of the events, in the order of the list: what bytes are decoded to.
    using Event = typename Schema::Event;

    static constexpr std::string_view content_type = Format::content_type; ///< of what it writes

    /// True if events of this type are written and read, current or in an older shape.
    template <class E>
    static constexpr bool reads = Schema::template reads<E>;

    /// Event objects that `decode` fills again and again, so that replaying a stream allocates next to nothing.
    using Scratch = typename Schema::Objects;

    /// Appends the bytes of `event` to `out`.
    /// @throws CodecError if the format cannot express a value, or if messages could not (see `archive::Binary`); the
    ///         text names event and field. `out` then ends in bytes that the caller must drop
    template <class E>
    void encode(const E& event, std::vector<std::byte>& out) const
    {
        static_assert(reads<E>, "escqrs: this codec was not given the event E in its EventList");
        typename Format::Output output{out};
        if constexpr (requires { requires Format::json_values_only; }) output.require_json_values();
        try {
            E& in_both_ways = const_cast<E&>(event); // NOLINT: one serialize reads and writes, as in Boost
            output.root(in_both_ways, schema_version<E>());
        } catch (const CodecError& error) {
            detail::fail_encoding(event_name<E>(), error);
        }
    }

    /// Decodes into `scratch`, upcasts, and calls `visit(const E&)` for each resulting event, in order: for an
    /// `EventList` exactly one, for an `Evolution` any number.
    /// @throws UnknownEventType, NewerSchemaVersion; CodecError for bytes that are damaged or in an unknown format;
    ///         what upcasters throw
    template <class Visitor>
    void decode(const EncodedEvent& event, Scratch& scratch, Visitor&& visit) const
    {
        decode_as_stored(event, scratch, [&](auto& stored) { Schema::upcast(stored, visit); });
    }

    /// Like `decode`, but without upcasting: `visit` receives the old shape that the bytes hold; it is not called for a
    /// dropped event.
    template <class Visitor>
    void decode_as_stored(const EncodedEvent& event, Scratch& scratch, Visitor&& visit) const
    {
        const bool is_read = [&]<std::size_t... Index>(std::index_sequence<Index...>) {
            return (decode_in<Index>(event, scratch, visit) || ...);
        }(std::make_index_sequence<Schema::ranges.size()>{});
        if (!is_read && !Schema::drops(event.type)) detail::refuse_event(event, Schema::ranges);
    }

    /// The events that result from `event`, for use where speed does not matter.
    std::vector<Event> decode(const EncodedEvent& event) const
    {
        Scratch scratch;
        std::vector<Event> result;
        decode(event, scratch, [&](auto& decoded) { result.emplace_back(std::move(decoded)); });
        return result;
    }

    /// The names under which events are read, old ones included.
    static std::vector<std::string> type_names()
    {
        std::vector<std::string> names;
        for (const detail::SchemaRange& range : Schema::ranges) {
            if (std::find(names.begin(), names.end(), range.name) == names.end()) names.emplace_back(range.name);
        }
        return names;
    }

    /// True if some version of the type is read, or its events are dropped.
    static constexpr bool knows(std::string_view type) noexcept
    {
        for (const detail::SchemaRange& range : Schema::ranges) {
            if (range.name == type) return true;
        }
        return Schema::drops(type);
    }

private:
    template <std::size_t Index, class Visitor>
    bool decode_in(const EncodedEvent& encoded, Scratch& scratch, Visitor& visit) const
    {
        constexpr detail::SchemaRange range = Schema::ranges[Index];
        if (!detail::is_text<range.name.size()>(encoded.type, range.name)) return false;
        if (encoded.schema_version > range.newest) return false;
        if constexpr (range.oldest > 0) {
            if (encoded.schema_version < range.oldest) return false;
        }
        using Stored = typename Schema::template Reader<Index>;
        Stored& event = static_cast<detail::OneObject<Stored>&>(scratch).object;
        const bool readable =
            detail::read_if<Format>(encoded, event) || (detail::read_if<OtherFormats>(encoded, event) || ...);
        if (!readable) detail::refuse_content_type(encoded);
        visit(event);
        return true;
    }
};

namespace detail {

template <class Owner>
struct CodecOf {
    using Type = Codec<Owner>; // which says what is missing, once it is used
};
template <class Owner>
    requires(!requires { typename Owner::Codec; } &&
             (
                 requires { typename Owner::Events; } || requires { typename Owner::EventTypes; }))
struct CodecOf<Owner> {
    using Type = Codec<typename EventsOf<Owner>::Type>;
};
template <class Owner>
    requires requires { typename Owner::Codec; }
struct CodecOf<Owner> {
    using Type = typename Owner::Codec;
};

} // namespace detail

/// The codec that an aggregate, a decider or handlers use everywhere, unless another one is given: their member
/// `Codec`, else a `Codec` of their `Events`.
///
/// ```
/// class Item : public escqrs::AggregateRoot<Item, ItemReceived> {
///     using Events = escqrs::Evolution<EventTypes, escqrs::Upcast<in_pieces>>; // converts older shapes
/// };
/// struct Stock {
///     using Events = escqrs::EventList<ItemReceived>; // those it handles
///     using Codec = escqrs::CodecOf<Item>;            // read as the aggregate reads them
/// };
/// ```
template <class Owner>
using CodecOf = typename detail::CodecOf<Owner>::Type;

/// The context of a stored event. Copies the texts, so it may be kept.
inline EventContext context_of(const RecordedEvent& event)
{
    return {event.stream, event.version, event.position, event.id, event.recorded_at, decode_metadata(event.metadata)};
}

} // namespace escqrs::inline v0
