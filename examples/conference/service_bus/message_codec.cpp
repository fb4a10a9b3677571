// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "message_codec.hpp"

#include "data_sections.hpp"
#include "wire_names.hpp"
#include "wire_time.hpp"

#include <escqrs/core/error.hpp>
#include <escqrs/core/timestamp.hpp>

#include <proton/annotation_key.hpp>
#include <proton/binary.hpp>
#include <proton/codec.h>
#include <proton/codec/decoder.hpp>
#include <proton/codec/vector.hpp>
#include <proton/error.h>
#include <proton/error.hpp>
#include <proton/message.hpp>
#include <proton/message_id.hpp>
#include <proton/scalar.hpp>
#include <proton/symbol.hpp>
#include <proton/timestamp.hpp>
#include <proton/value.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

namespace service_bus {
namespace {

using namespace wire_names;
using AnyProperties = std::vector<std::pair<std::string, proton::value>>;

constexpr const char* enqueued_time = "x-opt-enqueued-time";
constexpr const char* sequence_number = "x-opt-sequence-number";
constexpr const char* locked_until_annotation = "x-opt-locked-until";
constexpr std::string_view event_type = "cloudEvents:type";
constexpr std::string_view dead_letter_reason = "DeadLetterReason";
constexpr std::string_view dead_letter_description = "DeadLetterErrorDescription";
constexpr std::string_view dead_lettered_at = "DeadLetteredAt";

/// Each section of a message begins with a descriptor: a small or a large number, or a symbol.
bool begins_with_section(const std::vector<char>& bytes)
{
    if (bytes.size() < 3 || bytes[0] != 0) return false;
    const auto type = static_cast<unsigned char>(bytes[1]);
    return type == 0x53U || type == 0x80U || type == 0xA3U || type == 0xB3U;
}

constexpr std::uint64_t message_annotations_section = 0x72;
constexpr std::uint64_t application_properties_section = 0x74;
constexpr std::uint64_t footer_section = 0x78;

struct DataDeleter {
    void operator()(pn_data_t* data) const noexcept { pn_data_free(data); }
};

/// The leading sections of a message whose descriptor is not above `last`.
std::vector<char> sections_up_to(std::uint64_t last, const std::vector<char>& bytes)
{
    const std::unique_ptr<pn_data_t, DataDeleter> section{pn_data(0)};
    std::size_t end = 0;
    while (end < bytes.size()) {
        pn_data_clear(section.get());
        const ssize_t length = pn_data_decode(section.get(), bytes.data() + end, bytes.size() - end);
        if (length <= 0) break;
        pn_data_rewind(section.get());
        pn_data_next(section.get());
        if (!pn_data_is_described(section.get()) || !pn_data_enter(section.get())) break;
        pn_data_next(section.get());
        if (pn_data_type(section.get()) != PN_ULONG || pn_data_get_ulong(section.get()) > last) break;
        end += static_cast<std::size_t>(length);
    }
    return {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(end)};
}

/// The text of a scalar of any type. A time becomes one as CloudEvents writes it, whose binding to AMQP (1.0.2,
/// 3.1.3.2) allows both forms.
std::string text_of(const proton::value& value)
{
    switch (value.type()) {
    case proton::NULL_TYPE: return {};
    case proton::STRING: return proton::get<std::string>(value);
    case proton::SYMBOL: return proton::get<proton::symbol>(value);
    case proton::BINARY: {
        const auto bytes = proton::get<proton::binary>(value);
        return {bytes.begin(), bytes.end()};
    }
    case proton::TIMESTAMP:
        return escqrs::to_rfc3339(from_amqp_timestamp(proton::get<proton::timestamp>(value).milliseconds()));
    default: return proton::to_string(value);
    }
}

std::string text_of(const proton::message_id& id) { return id.empty() ? std::string{} : text_of(proton::value{id}); }

std::string text_of_body(const proton::message& message, std::string_view bytes)
{
    if (const auto sections = data_sections(bytes); !sections.empty()) {
        std::string joined;
        for (const std::string_view section : sections) joined += section;
        return joined;
    }
    const proton::value& body = message.body();
    switch (body.type()) {
    case proton::NULL_TYPE:
    case proton::STRING:
    case proton::BINARY: return text_of(body);
    default:
        throw escqrs::TransportError{"message '" + text_of(message.id()) +
                                     "': body: expected bytes or text, found AMQP type " +
                                     proton::type_name(body.type())};
    }
}

template <class T>
std::optional<T> annotation(const proton::message& message, const char* name)
{
    const auto& annotations = message.message_annotations();
    const proton::annotation_key key{proton::symbol{name}};
    if (!annotations.exists(key)) return std::nullopt;
    return proton::coerce<T>(annotations.get(key));
}

std::optional<escqrs::Timestamp> time_annotation(const proton::message& message, const char* name)
{
    const auto& annotations = message.message_annotations();
    const proton::annotation_key key{proton::symbol{name}};
    if (!annotations.exists(key)) return std::nullopt;
    return from_amqp_timestamp(proton::get<proton::timestamp>(annotations.get(key)).milliseconds());
}

/// The value with its type; nothing if it is a text, or of a type that there is no other word for.
std::optional<PropertyValue> typed_value_of(const proton::value& value)
{
    switch (value.type()) {
    case proton::BOOLEAN: return PropertyValue{proton::get<bool>(value)};
    case proton::BYTE:
    case proton::UBYTE:
    case proton::SHORT:
    case proton::USHORT:
    case proton::INT:
    case proton::UINT:
    case proton::LONG: return PropertyValue{proton::coerce<std::int64_t>(value)};
    case proton::FLOAT:
    case proton::DOUBLE: return PropertyValue{proton::coerce<double>(value)};
    case proton::TIMESTAMP:
        return PropertyValue{from_amqp_timestamp(proton::get<proton::timestamp>(value).milliseconds())};
    default: return std::nullopt;
    }
}

/// Continues a trace that Azure's SDKs have begun, in a CloudEvent's own terms.
void sort_out_trace(const std::string& trace, escqrs::MessageProperties& properties)
{
    const bool is_told =
        find_text(properties, event_traceparent) == trace || find_text(properties, traceparent) == trace;
    if (is_told) return;
    const bool is_event = find_text(properties, event_type) && !find_text(properties, event_traceparent);
    properties.add(is_event ? event_traceparent : diagnostic_id, trace);
}

void sort_out_properties(const proton::message& message, DecodedMessage& decoded)
{
    if (message.properties().value().empty()) return;
    AnyProperties properties;
    proton::get(message.properties().value(), properties);
    std::optional<std::string> trace;
    for (const auto& [name, value] : properties) {
        std::string text = text_of(value);
        if (name == dead_letter_reason) {
            decoded.dead_letter_reason = std::move(text);
        } else if (name == dead_letter_description) {
            decoded.dead_letter_description = std::move(text);
        } else if (name == dead_lettered_at) {
            decoded.dead_lettered_at = escqrs::parse_rfc3339(text);
        } else if (name == original_message_id) {
            decoded.received.message.message_id = std::move(text);
        } else if (name == diagnostic_id) {
            trace = std::move(text);
        } else {
            decoded.received.message.properties.add(name, text);
            if (auto typed = typed_value_of(value))
                decoded.received.typed_properties.emplace_back(name, *std::move(typed));
        }
    }
    if (trace) sort_out_trace(*trace, decoded.received.message.properties);
}

} // namespace

Message to_message(ReceivedMessage received)
{
    Message message;
    static_cast<MessageDetails&>(message) = std::move(static_cast<MessageDetails&>(received));
    escqrs::MessageProperties texts;
    for (const auto& [name, text] : received.message.properties) {
        const auto is_it = [name = name](const auto& typed) { return typed.first == name; };
        if (std::ranges::none_of(message.typed_properties, is_it)) texts.add(name, text);
    }
    received.message.properties = std::move(texts);
    static_cast<escqrs::Message&>(message) = std::move(received.message);
    return message;
}

DecodedMessage decode_dead_letter(const std::vector<char>& bytes, const std::string& default_session)
{
    std::string problem;
    try {
        return decode_message(bytes, default_session);
    } catch (const std::exception& error) {
        problem = error.what();
    }
    const auto decode_up_to = [&](std::uint64_t last_section) {
        DecodedMessage decoded = decode_message(sections_up_to(last_section, bytes), default_session);
        decoded.is_whole = false;
        if (decoded.dead_letter_reason.empty()) decoded.dead_letter_reason = "UndecodableMessage";
        if (decoded.dead_letter_description.empty()) decoded.dead_letter_description = problem;
        return decoded;
    };
    try {
        return decode_up_to(application_properties_section);
    } catch (const std::exception&) {
        return decode_up_to(message_annotations_section);
    }
}

DecodedMessage decode_message(const std::vector<char>& bytes, const std::string& default_session)
{
    if (!begins_with_section(bytes)) throw escqrs::TransportError{"not an AMQP message: it begins with no section"};
    try {
        proton::message amqp;
        amqp.decode(bytes);
        // Proton passes over what follows the sections it could read.
        const std::size_t read = amqp.body().empty() ? sections_up_to(footer_section, bytes).size() : bytes.size();
        if (read != bytes.size())
            throw escqrs::TransportError{"not an AMQP message: from byte " + std::to_string(read) + " of " +
                                         std::to_string(bytes.size()) + " on there is no section"};
        DecodedMessage decoded;
        auto& received = decoded.received;
        received.message.message_id = text_of(amqp.id());
        received.message.session_id = amqp.group_id();
        if (received.message.session_id == default_session) received.message.session_id.clear();
        received.message.subject = amqp.subject();
        received.message.correlation_id = text_of(amqp.correlation_id());
        received.message.content_type = amqp.content_type();
        received.message.body = text_of_body(amqp, {bytes.data(), bytes.size()});
        received.message.scheduled_enqueue_time = time_annotation(amqp, scheduled_enqueue_time);
        decoded.received.to = amqp.to();
        decoded.received.reply_to = amqp.reply_to();
        decoded.received.reply_to_session_id = amqp.reply_to_group_id();
        decoded.received.partition_key = annotation<std::string>(amqp, partition_key).value_or("");
        if (amqp.ttl().milliseconds() != 0)
            decoded.received.time_to_live = std::chrono::milliseconds{amqp.ttl().milliseconds()};
        received.sequence_number =
            static_cast<std::uint64_t>(annotation<std::int64_t>(amqp, sequence_number).value_or(0));
        received.delivery_count = amqp.delivery_count() + 1;
        received.enqueued_at = time_annotation(amqp, enqueued_time).value_or(escqrs::Timestamp{});
        received.locked_until = time_annotation(amqp, locked_until_annotation).value_or(escqrs::Timestamp::max());
        decoded.is_first_acquirer = amqp.first_acquirer();
        sort_out_properties(amqp, decoded);
        return decoded;
    } catch (const proton::error& error) {
        throw escqrs::TransportError{std::string{"not an AMQP message: "} + error.what()};
    }
}

} // namespace service_bus
