// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "message_codec.hpp"

#include "data_sections.hpp"
#include "proton_bytes.hpp"
#include "wire_time.hpp"

#include <escqrs/error.hpp>
#include <escqrs/timestamp.hpp>

#include <proton/annotation_key.hpp>
#include <proton/binary.hpp>
#include <proton/codec.h>
#include <proton/codec/decoder.hpp>
#include <proton/codec/vector.hpp>
#include <proton/error.h>
#include <proton/error.hpp>
#include <proton/message.h>
#include <proton/message.hpp>
#include <proton/message_id.hpp>
#include <proton/scalar.hpp>
#include <proton/symbol.hpp>
#include <proton/timestamp.hpp>
#include <proton/value.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string_view>
#include <utility>

namespace service_bus {
namespace {

using AnyProperties = std::vector<std::pair<std::string, proton::value>>;

constexpr const char* scheduled_enqueue_time = "x-opt-scheduled-enqueue-time";
constexpr const char* enqueued_time = "x-opt-enqueued-time";
constexpr const char* sequence_number = "x-opt-sequence-number";
constexpr const char* locked_until_annotation = "x-opt-locked-until";
constexpr std::string_view dead_letter_reason = "DeadLetterReason";
constexpr std::string_view dead_letter_description = "DeadLetterErrorDescription";
constexpr std::string_view dead_lettered_at = "DeadLetteredAt";

struct MessageDeleter {
    void operator()(pn_message_t* message) const noexcept { pn_message_free(message); }
};

pn_atom_t text_atom(std::string_view text)
{
    pn_atom_t atom{};
    atom.type = PN_STRING;
    atom.u.as_bytes = proton_bytes(text);
    return atom;
}

pn_timestamp_t milliseconds_of(escqrs::Timestamp moment)
{
    return std::chrono::floor<std::chrono::milliseconds>(moment.time_since_epoch()).count();
}

/// In the order given, which Proton's C++ classes do not keep.
void put_properties(pn_data_t* map, const escqrs::MessageProperties& properties)
{
    if (properties.empty()) return;
    pn_data_put_map(map);
    pn_data_enter(map);
    for (const auto& [name, value] : properties) {
        pn_data_put_string(map, proton_bytes(name));
        pn_data_put_string(map, proton_bytes(value));
    }
    pn_data_exit(map);
}

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

/// The text of a scalar of any type. A time becomes one as CloudEvents writes it, whose binding to AMQP (1.0.2, 3.1.3.2)
/// allows both forms.
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

void sort_out_properties(const proton::message& message, DecodedMessage& decoded)
{
    if (message.properties().value().empty()) return;
    AnyProperties properties;
    proton::get(message.properties().value(), properties);
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
        } else {
            decoded.received.message.properties.add(name, text);
        }
    }
}

} // namespace

std::vector<char> encode_message(const escqrs::Message& message, const std::string& wire_message_id,
                                 const std::string& default_session, Dialect dialect)
{
    const std::string& session = message.session_id.empty() ? default_session : message.session_id;
    const std::unique_ptr<pn_message_t, MessageDeleter> amqp{pn_message()};
    pn_message_set_durable(amqp.get(), true);
    pn_message_set_inferred(amqp.get(), true); // bytes become a data section
    pn_message_set_id(amqp.get(), text_atom(wire_message_id));
    if (!session.empty()) pn_message_set_group_id(amqp.get(), session.c_str());
    if (!message.subject.empty()) pn_message_set_subject(amqp.get(), message.subject.c_str());
    if (!message.correlation_id.empty()) pn_message_set_correlation_id(amqp.get(), text_atom(message.correlation_id));
    if (!message.content_type.empty()) pn_message_set_content_type(amqp.get(), message.content_type.c_str());
    pn_data_put_binary(pn_message_body(amqp.get()), proton_bytes(message.body));
    if (message.scheduled_enqueue_time) {
        if (dialect == Dialect::amqp10)
            throw escqrs::MessageRefused{message.message_id,
                                         "message '" + message.message_id +
                                             "' refused: plain AMQP 1.0 has no scheduled enqueue time"};
        pn_data_t* const annotations = pn_message_annotations(amqp.get());
        pn_data_put_map(annotations);
        pn_data_enter(annotations);
        pn_data_put_symbol(annotations, proton_bytes(scheduled_enqueue_time));
        pn_data_put_timestamp(annotations, milliseconds_of(*message.scheduled_enqueue_time));
        pn_data_exit(annotations);
    }
    escqrs::MessageProperties properties = message.properties;
    if (wire_message_id != message.message_id) properties.add(original_message_id, message.message_id);
    put_properties(pn_message_properties(amqp.get()), properties);
    if (auto bytes = encode_wire(amqp.get(), 512 + message.body.size())) return *std::move(bytes);
    throw escqrs::MessageRefused{message.message_id,
                                 "message '" + message.message_id + "' refused: Proton cannot encode it"};
}

std::optional<std::vector<char>> encode_wire(pn_message_t* message, std::size_t expected_size)
{
    std::vector<char> bytes(std::max<std::size_t>(expected_size, 1));
    for (;;) {
        std::size_t size = bytes.size();
        const int result = pn_message_encode(message, bytes.data(), &size);
        if (result == 0) {
            bytes.resize(size);
            return bytes;
        }
        if (result != PN_OVERFLOW) return std::nullopt;
        bytes.resize(2 * bytes.size());
    }
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
