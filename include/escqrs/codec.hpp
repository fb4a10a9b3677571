// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/archive/binary.hpp>
#include <escqrs/error.hpp>
#include <escqrs/event.hpp>
#include <escqrs/event_store.hpp>
#include <escqrs/metadata.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <tuple>
#include <variant>
#include <vector>

namespace escqrs {

/// The bytes of one event and what is needed to read them. Views only.
struct EncodedEvent {
    std::string_view type;
    unsigned schema_version = 0;
    std::string_view content_type;
    Bytes payload;
};

inline EncodedEvent encoded(const RecordedEvent& event) noexcept
{
    return {event.type, event.schema_version, event.content_type, event.payload};
}

template <class List, class Format = archive::Binary, class... OtherFormats>
class Codec;

/// Turns the events of a list into bytes and back.
///
/// Writes `Format`; reads `Format` and `OtherFormats`, told apart by content type. The list is closed, so the way from
/// a wire name to a type is resolved at compile time.
/// @par Thread safety  has no state; any thread
template <class... Events, class Format, class... OtherFormats>
class Codec<EventList<Events...>, Format, OtherFormats...> {
public:
    using Types = EventList<Events...>;
    using Event = std::variant<Events...>;

    static constexpr std::string_view content_type = Format::content_type;

    /// Event objects that `decode` fills again and again, so that replaying a stream allocates next to nothing.
    using Scratch = std::tuple<Events...>;

    /// Appends the bytes of `event` to `out`.
    /// @throws CodecError if the format cannot express a value; `out` then ends in bytes to be thrown away
    template <class E>
    void encode(const E& event, std::vector<std::byte>& out) const
    {
        static_assert(Types::template contains<E>, "escqrs: this codec was not given the event E in its EventList");
        typename Format::Output output{out};
        output.root(const_cast<E&>(event), schema_version<E>()); // NOLINT: one serialize serves both ways, as in Boost
    }

    /// Decodes into `scratch` and calls `visit(const E&)` for the event's type.
    /// @throws UnknownEventType, CodecError for bytes that are damaged, in an unknown format or from a newer schema version
    template <class Visitor>
    void decode(const EncodedEvent& event, Scratch& scratch, Visitor&& visit) const
    {
        const bool known =
            ((event.type == event_name<Events>() && (decode_as<Events>(event, scratch, visit), true)) || ...);
        if (!known) throw UnknownEventType{std::string{event.type}};
    }

    Event decode(const EncodedEvent& event) const
    {
        Scratch scratch;
        Event result;
        decode(event, scratch, [&](auto& decoded) { result = std::move(decoded); });
        return result;
    }

    static constexpr bool knows(std::string_view type) noexcept { return ((type == event_name<Events>()) || ...); }

private:
    template <class E, class Visitor>
    void decode_as(const EncodedEvent& encoded, Scratch& scratch, Visitor& visit) const
    {
        if (encoded.schema_version > schema_version<E>()) {
            throw CodecError{"event '" + std::string{encoded.type} + "' has schema version " +
                             std::to_string(encoded.schema_version) + ", this program knows up to " +
                             std::to_string(schema_version<E>())};
        }
        E& event = std::get<E>(scratch);
        const bool readable = read_if<Format>(encoded, event) || (read_if<OtherFormats>(encoded, event) || ...);
        if (!readable) {
            throw CodecError{"event '" + std::string{encoded.type} + "' has content type '" +
                             std::string{encoded.content_type} + "', which this codec does not read"};
        }
        visit(event);
    }

    template <class InputFormat, class E>
    static bool read_if(const EncodedEvent& encoded, E& event)
    {
        if (encoded.content_type != InputFormat::content_type) return false;
        event = E{}; // fields that older bytes do not hold must not show the previous event's
        typename InputFormat::Input input{encoded.payload};
        try {
            input.root(event, encoded.schema_version);
            input.finish();
        } catch (const CodecError& error) {
            throw CodecError{"event '" + std::string{encoded.type} + "': " + error.what()};
        }
        return true;
    }
};

/// Appends `metadata` to `out`; nothing is appended for empty metadata.
void encode_metadata(const Metadata& metadata, std::vector<std::byte>& out);

/// @throws CodecError if the bytes are not what `encode_metadata` writes
Metadata decode_metadata(Bytes bytes);

/// The context of a stored event. Copies the texts, so it may be kept.
inline EventContext context_of(const RecordedEvent& event)
{
    return {event.stream, event.version, event.position, event.id, event.recorded_at, decode_metadata(event.metadata)};
}

namespace detail {

/// Metadata in the binary format: a mask of what is there, then just that.
struct StoredMetadata {
    Metadata& metadata;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        std::uint8_t present = 0;
        if constexpr (Archive::is_saving::value) {
            visit([&](unsigned bit, const auto& member) {
                if (!is_empty(member)) present |= static_cast<std::uint8_t>(1U << bit);
            });
        }
        archive & present;
        if ((present & ~0x3FU) != 0) throw CodecError{"metadata holds fields this program does not know"};
        visit([&](unsigned bit, auto& member) {
            if ((present & (1U << bit)) != 0) archive & member;
        });
    }

private:
    template <class Tag>
    static bool is_empty(const Id<Tag>& id) noexcept
    {
        return id.is_nil();
    }
    template <class Container>
    static bool is_empty(const Container& container) noexcept
    {
        return container.empty();
    }

    template <class Visitor>
    void visit(Visitor&& visit)
    {
        visit(0U, metadata.correlation_id);
        visit(1U, metadata.causation_id);
        visit(2U, metadata.command_id);
        visit(3U, metadata.actor);
        visit(4U, metadata.traceparent);
        visit(5U, metadata.headers);
    }
};

} // namespace detail

inline void encode_metadata(const Metadata& metadata, std::vector<std::byte>& out)
{
    if (metadata == Metadata{}) return;
    Metadata copy = metadata;
    detail::StoredMetadata stored{copy};
    archive::BinaryOutput{out}.root(stored, 0);
}

inline Metadata decode_metadata(Bytes bytes)
{
    Metadata metadata;
    if (bytes.empty()) return metadata;
    detail::StoredMetadata stored{metadata};
    archive::BinaryInput input{bytes};
    input.root(stored, 0);
    input.finish();
    return metadata;
}

} // namespace escqrs
