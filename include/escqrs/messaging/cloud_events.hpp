// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/codec/archive/json.hpp>
#include <escqrs/codec/codec.hpp>
#include <escqrs/messaging/message_queue.hpp>

#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace escqrs::inline v0 {

/// Translates stored events into messages that are CloudEvents 1.0, and such messages back into typed events.
///
/// AMQP protocol binding, binary mode: the body is the event as JSON, the attributes are properties named
/// `cloudEvents:…`. The event id is the message id, the stream the session id. Extension attributes carry what
/// CloudEvents has no word for: `streamversion`, `position`, `schemaversion`, `correlationid`, `causationid`,
/// `commandid`, `actor`, `traceparent`; headers of the metadata become plain properties.
/// @tparam List          an `EventList` or an `Evolution`
/// @tparam StoredFormat  the archive of the store
/// @tparam WireFormat    the archive of the body
/// @par Thread safety  each thread needs its own copy; a copy is cheap
template <class List, class StoredFormat = archive::Binary, class WireFormat = archive::Json>
class CloudEvents {
public:
    /// @param source  URI-reference that names the producer (CloudEvents `source`)
    explicit CloudEvents(std::string source) : source_{std::move(source)} {}

    /// The message of one event, in the shape in which it was stored: the receiver upcasts. An event that an
    /// `Evolution` drops is passed on with its stored bytes, because the stream versions on the queue have no gaps.
    /// @throws UnknownEventType, NewerSchemaVersion, CodecError
    Message operator()(const RecordedEvent& event);

    /// Calls `visit(const E&, const EventContext&)` for each event that results from a message: one, or with an
    /// `Evolution` any number, distinguished by `part`.
    /// @return the context of the message, also if no event resulted
    /// @throws UnknownEventType, NewerSchemaVersion; CodecError if the message is not a CloudEvent that this class
    ///         writes
    template <class Visitor>
    EventContext decode(const Message& message, Visitor&& visit);

private:
    std::string source_;
    [[no_unique_address]] Codec<List, StoredFormat, WireFormat> stored_codec_;
    [[no_unique_address]] Codec<List, WireFormat, StoredFormat> wire_codec_;
    typename Codec<List, WireFormat, StoredFormat>::Scratch scratch_;
    std::vector<std::byte> buffer_;
};

namespace detail {

/// Reads the attributes of a message that must be a CloudEvent.
class CloudEventAttributes {
public:
    explicit CloudEventAttributes(const Message& message) : message_{&message}
    {
        if (required("specversion") != "1.0") refuse("specversion", "1.0", required("specversion"));
    }

    std::string_view required(std::string_view name) const
    {
        const auto value = find(name);
        if (!value) refuse(name, "a value", "none");
        return *value;
    }

    std::uint64_t number(std::string_view name) const
    {
        const std::string_view text = required(name);
        std::uint64_t value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc{} || end != text.data() + text.size()) refuse(name, "a whole number", text);
        return value;
    }

    std::string text(std::string_view name) const { return std::string{find(name).value_or(std::string_view{})}; }

    Timestamp time(std::string_view name) const
    {
        const std::string_view text = required(name);
        const auto parsed = escqrs::parse_rfc3339(text);
        if (!parsed) refuse(name, "an RFC 3339 time in UTC", text);
        return *parsed;
    }

    template <class Identifier>
    Identifier id(std::string_view name) const
    {
        const auto value = find(name);
        if (!value) return Identifier{};
        try {
            return Identifier::parse(*value);
        } catch (const InvalidIdentifier&) {
            refuse(name, "a UUID", *value);
        }
    }

    static constexpr std::string_view prefix = cloud_events_prefix;

private:
    std::optional<std::string_view> find(std::string_view name) const noexcept
    {
        for (const auto& [key, value] : message_->properties) {
            if (key.size() == prefix.size() + name.size() && key.starts_with(prefix) && key.ends_with(name))
                return value;
        }
        return std::nullopt;
    }

    [[noreturn]] void refuse(std::string_view name, std::string_view expected, std::string_view found) const
    {
        throw CodecError{"message '" + message_->message_id + "': CloudEvents attribute '" + std::string{name} +
                         "': expected " + std::string{expected} + ", found " + std::string{found.substr(0, 100)}};
    }

    const Message* message_;
};

} // namespace detail

template <class List, class StoredFormat, class WireFormat>
Message CloudEvents<List, StoredFormat, WireFormat>::operator()(const RecordedEvent& event)
{
    Message message;
    message.message_id = to_string(event.id);
    message.session_id = event.stream.text();
    message.subject = event.type;
    message.content_type = event.content_type;
    unsigned version = event.schema_version;
    Bytes body = event.payload;
    buffer_.clear();
    stored_codec_.decode_as_stored(encoded(event), scratch_, [&](const auto& stored) {
        using Stored = std::remove_cvref_t<decltype(stored)>;
        wire_codec_.encode(stored, buffer_);
        message.subject = event_name<Stored>();
        message.content_type = WireFormat::content_type;
        version = schema_version<Stored>();
        body = buffer_;
    });
    message.body.assign(reinterpret_cast<const char*>(body.data()), body.size()); // NOLINT: bytes as text

    constexpr std::size_t usual_size = 1024; // of properties without headers
    message.properties.reserve(usual_size);
    std::string attribute{detail::CloudEventAttributes::prefix};
    const auto put = [&](std::string_view name, std::string_view value) {
        if (value.empty()) return;
        attribute.resize(detail::CloudEventAttributes::prefix.size());
        message.properties.add(attribute.append(name), value);
    };
    put("specversion", "1.0");
    put("id", message.message_id);
    put("source", source_);
    put("type", message.subject);
    put("subject", event.stream.text());
    put("time", to_rfc3339(event.recorded_at));
    put("streamversion", std::to_string(event.version.value()));
    put("position", std::to_string(event.position.value()));
    put("schemaversion", std::to_string(version));
    const Metadata metadata = decode_metadata(event.metadata);
    const auto put_id = [&](std::string_view name, const auto& id) {
        if (!id.is_nil()) put(name, to_string(id));
    };
    put_id("correlationid", metadata.correlation_id);
    put_id("causationid", metadata.causation_id);
    put_id("commandid", metadata.command_id);
    if (!metadata.correlation_id.is_nil()) message.correlation_id = to_string(metadata.correlation_id);
    put("actor", metadata.actor);
    put("traceparent", metadata.traceparent);
    for (const auto& [name, value] : metadata.headers) {
        if (detail::is_named_like_attribute(name)) // stored before these were refused
            throw CodecError{"event " + message.message_id + ": header '" + name +
                             "' is named like a CloudEvents attribute"};
        message.properties.add(name, value);
    }
    return message;
}

template <class List, class StoredFormat, class WireFormat>
template <class Visitor>
EventContext CloudEvents<List, StoredFormat, WireFormat>::decode(const Message& message, Visitor&& visit)
{
    const detail::CloudEventAttributes attributes{message};
    const auto stream = [&] {
        try {
            return StreamId::parse(attributes.required("subject"));
        } catch (const InvalidIdentifier& error) {
            throw CodecError{"message '" + message.message_id + "': " + error.what()};
        }
    }();
    EventContext context{stream, StreamVersion{attributes.number("streamversion")},
                         GlobalPosition{attributes.number("position")}, attributes.id<EventId>("id"),
                         attributes.time("time")};
    context.metadata.correlation_id = attributes.id<CorrelationId>("correlationid");
    context.metadata.causation_id = attributes.id<CausationId>("causationid");
    context.metadata.command_id = attributes.id<CommandId>("commandid");
    context.metadata.actor = attributes.text("actor");
    context.metadata.traceparent = attributes.text("traceparent");
    for (const auto& [name, value] : message.properties) {
        if (!name.starts_with(detail::CloudEventAttributes::prefix)) context.metadata.headers.emplace_back(name, value);
    }
    const std::uint64_t version = attributes.number("schemaversion");
    if (version > std::numeric_limits<unsigned>::max())
        throw CodecError{"message '" + message.message_id + "': schema version out of range"};
    const EncodedEvent encoded{attributes.required("type"), static_cast<unsigned>(version), message.content_type,
                               std::as_bytes(std::span{message.body})};
    wire_codec_.decode(encoded, scratch_, [&](const auto& event) {
        visit(event, std::as_const(context));
        ++context.part;
    });
    context.part = 0;
    return context;
}

} // namespace escqrs::inline v0
