// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "message_codec.hpp"

#include "proton_bytes.hpp"
#include "wire_names.hpp"

#include <escqrs/core/error.hpp>
#include <escqrs/core/timestamp.hpp>
#include <escqrs/messaging/message_queue_rules.hpp>

#include <proton/codec.h>
#include <proton/error.h>
#include <proton/message.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <variant>

namespace service_bus {
namespace {

using namespace wire_names;

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

struct PutValue {
    pn_data_t* data;

    void operator()(const std::string& text) const { pn_data_put_string(data, proton_bytes(text)); }
    void operator()(bool flag) const { pn_data_put_bool(data, flag); }
    void operator()(std::int64_t number) const { pn_data_put_long(data, number); }
    void operator()(double number) const { pn_data_put_double(data, number); }
    void operator()(escqrs::Timestamp moment) const { pn_data_put_timestamp(data, milliseconds_of(moment)); }
};

/// In the order given, which Proton's C++ classes do not keep.
void put_properties(pn_data_t* map, const escqrs::MessageProperties& properties, const MessageDetails& details)
{
    if (properties.empty() && details.typed_properties.empty()) return;
    pn_data_put_map(map);
    pn_data_enter(map);
    for (const auto& [name, value] : properties) {
        pn_data_put_string(map, proton_bytes(name));
        pn_data_put_string(map, proton_bytes(value));
    }
    for (const auto& [name, value] : details.typed_properties) {
        pn_data_put_string(map, proton_bytes(name));
        std::visit(PutValue{map}, value);
    }
    pn_data_exit(map);
}

/// The typed property of that name; null if there is none.
const PropertyValue* find_typed(const MessageDetails& details, std::string_view wanted)
{
    for (const auto& [name, value] : details.typed_properties) {
        if (name == wanted) return &value;
    }
    return nullptr;
}

/// Unless the message has one.
void add_diagnostic_id(escqrs::MessageProperties& properties, const MessageDetails& details)
{
    if (properties.find(diagnostic_id) || find_typed(details, diagnostic_id) != nullptr) return;
    for (const std::string_view name : {event_traceparent, traceparent}) {
        auto trace = properties.find(name);
        if (const auto* const text = std::get_if<std::string>(find_typed(details, name))) trace = *text;
        if (trace) return properties.add(diagnostic_id, *trace);
    }
}

/// What the annotations of a message say of the sender's wishes.
void put_annotations(pn_data_t* annotations, const escqrs::Message& message, const MessageDetails& details)
{
    if (!message.scheduled_enqueue_time && details.partition_key.empty()) return;
    pn_data_put_map(annotations);
    pn_data_enter(annotations);
    if (message.scheduled_enqueue_time) {
        pn_data_put_symbol(annotations, proton_bytes(scheduled_enqueue_time));
        pn_data_put_timestamp(annotations, milliseconds_of(*message.scheduled_enqueue_time));
    }
    if (!details.partition_key.empty()) {
        pn_data_put_symbol(annotations, proton_bytes(partition_key));
        pn_data_put_string(annotations, proton_bytes(details.partition_key));
    }
    pn_data_exit(annotations);
}

[[noreturn]] void refuse(const escqrs::Message& message, const std::string& why)
{
    throw escqrs::MessageRefused{message.message_id, "message '" + message.message_id + "' refused: " + why};
}

/// Of AMQP, in milliseconds.
pn_millis_t time_to_live_of(const escqrs::Message& message, escqrs::Duration time_to_live)
{
    const auto milliseconds = std::chrono::floor<std::chrono::milliseconds>(time_to_live).count();
    if (milliseconds < 1 || milliseconds > std::numeric_limits<pn_millis_t>::max())
        refuse(message, "its time to live is not between a millisecond and 49 days");
    return static_cast<pn_millis_t>(milliseconds);
}

} // namespace

void check_message(const Message& message, const escqrs::MessageQueueOptions& limits)
{
    const escqrs::Message& plain = message;
    escqrs::message_queue_rules::check_messages(std::span{&plain, 1}, limits);
    const std::array<std::pair<const char*, const std::string*>, 4> texts{
        {{"to", &message.to},
         {"reply-to", &message.reply_to},
         {"reply-to-group-id", &message.reply_to_session_id},
         {partition_key, &message.partition_key}}};
    escqrs::MessageProperties fields;
    for (const auto& [name, text] : texts) {
        fields.add(name, *text);
        if (text->find('\0') != std::string::npos) refuse(message, std::string{"'"} + name + "' has a zero byte");
    }
    escqrs::message_queue_rules::check_properties(message, fields);
    escqrs::MessageProperties properties = message.properties;
    for (const auto& [name, value] : message.typed_properties) {
        const auto* const text = std::get_if<std::string>(&value);
        properties.add(name, text != nullptr ? *text : "");
    }
    escqrs::message_queue_rules::check_properties(message, properties);
}

std::vector<char> encode_message(const escqrs::Message& message, const MessageDetails& details,
                                 const std::string& wire_message_id, const std::string& default_session,
                                 Dialect dialect)
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
    if (!details.to.empty()) pn_message_set_address(amqp.get(), details.to.c_str());
    if (!details.reply_to.empty()) pn_message_set_reply_to(amqp.get(), details.reply_to.c_str());
    if (!details.reply_to_session_id.empty())
        pn_message_set_reply_to_group_id(amqp.get(), details.reply_to_session_id.c_str());
    if (details.time_to_live) pn_message_set_ttl(amqp.get(), time_to_live_of(message, *details.time_to_live));
    pn_data_put_binary(pn_message_body(amqp.get()), proton_bytes(message.body));
    if (dialect == Dialect::amqp10 && message.scheduled_enqueue_time)
        refuse(message, "plain AMQP 1.0 has no scheduled enqueue time");
    put_annotations(pn_message_annotations(amqp.get()), message, details);
    escqrs::MessageProperties properties = message.properties;
    add_diagnostic_id(properties, details);
    if (wire_message_id != message.message_id) properties.add(original_message_id, message.message_id);
    put_properties(pn_message_properties(amqp.get()), properties, details);
    if (auto bytes = encode_wire(amqp.get(), 512 + message.body.size())) return *std::move(bytes);
    refuse(message, "Proton cannot encode it");
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

} // namespace service_bus
