// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "management.hpp"

#include "wire_time.hpp"

#include <escqrs/core/identifiers.hpp>

#include <proton/binary.hpp>
#include <proton/codec/encoder.hpp>
#include <proton/codec/map.hpp>
#include <proton/codec/vector.hpp>
#include <proton/timestamp.hpp>
#include <proton/types.hpp>
#include <proton/uuid.hpp>

#include <algorithm>
#include <map>
#include <variant>

namespace service_bus {
namespace {

using Body = std::map<std::string, proton::value>;

proton::message request(const char* operation, const Body& body)
{
    proton::message message;
    message.properties().put("operation", std::string{operation});
    message.body(body);
    return message;
}

Body body_of(const proton::message& answer)
{
    Body body;
    proton::get(answer.body(), body);
    return body;
}

/// An array of one.
proton::value lock_tokens(const std::string& lock_token)
{
    const escqrs::Uuid token = escqrs::parse_uuid(lock_token);
    proton::uuid wire;
    std::ranges::copy(token, wire.begin());
    const std::vector wires{wire};
    proton::value tokens;
    proton::codec::encoder{tokens} << proton::codec::encoder::array(wires, proton::UUID);
    return tokens;
}

proton::value longs(std::span<const std::uint64_t> numbers)
{
    const std::vector<std::int64_t> wires(numbers.begin(), numbers.end());
    proton::value array;
    proton::codec::encoder{array} << proton::codec::encoder::array(wires, proton::LONG);
    return array;
}

/// The entries of an answer's list of messages; none if it has none.
std::vector<Body> entries_of(const proton::message& answer)
{
    std::vector<Body> entries;
    if (answer.body().empty()) return entries; // status 204
    const Body body = body_of(answer);
    const auto found = body.find("messages");
    if (found == body.end()) return entries;
    std::vector<proton::value> values;
    proton::get(found->second, values);
    for (const proton::value& value : values) proton::get(value, entries.emplace_back());
    return entries;
}

std::vector<char> message_in(const Body& entry)
{
    const auto bytes = proton::get<proton::binary>(entry.at("message"));
    return {bytes.begin(), bytes.end()};
}

escqrs::Timestamp to_time(proton::timestamp moment) { return from_amqp_timestamp(moment.milliseconds()); }

} // namespace

proton::message renew_lock_request(const std::string& lock_token)
{
    return request("com.microsoft:renew-lock", {{"lock-tokens", lock_tokens(lock_token)}});
}

std::optional<escqrs::Timestamp> message_lock_end(const proton::message& answer)
{
    const Body body = body_of(answer);
    const auto found = body.find("expirations");
    if (found == body.end()) return std::nullopt;
    std::vector<proton::timestamp> ends;
    proton::get(found->second, ends);
    return ends.empty() ? std::nullopt : std::optional{to_time(ends.front())};
}

proton::message renew_session_lock_request(const std::string& session_id)
{
    return request("com.microsoft:renew-session-lock", {{"session-id", session_id}});
}

std::optional<escqrs::Timestamp> session_lock_end(const proton::message& answer)
{
    const Body body = body_of(answer);
    const auto found = body.find("expiration");
    if (found == body.end()) return std::nullopt;
    return to_time(proton::get<proton::timestamp>(found->second));
}

proton::message peek_request(std::uint64_t from_sequence_number, std::size_t at_most)
{
    return request("com.microsoft:peek-message",
                   {{"from-sequence-number", static_cast<std::int64_t>(from_sequence_number)},
                    {"message-count", static_cast<std::int32_t>(std::min<std::size_t>(at_most, 1000))}});
}

std::vector<std::vector<char>> peeked_messages(const proton::message& answer, std::size_t at_most)
{
    std::vector<std::vector<char>> messages;
    for (const Body& entry : entries_of(answer)) {
        if (messages.size() == at_most) break;
        messages.push_back(message_in(entry));
    }
    return messages;
}

proton::message schedule_request(const std::vector<ScheduledMessage>& messages)
{
    std::vector<proton::value> entries;
    for (const ScheduledMessage& message : messages) {
        Body entry{{"message-id", message.message_id},
                   {"message", proton::binary{message.bytes.begin(), message.bytes.end()}}};
        if (!message.session_id.empty()) entry.emplace("session-id", message.session_id);
        if (!message.partition_key.empty()) entry.emplace("partition-key", message.partition_key);
        entries.emplace_back(entry);
    }
    return request("com.microsoft:schedule-message", {{"messages", entries}});
}

std::vector<std::uint64_t> scheduled_numbers(const proton::message& answer)
{
    const Body body = body_of(answer);
    std::vector<std::int64_t> numbers;
    if (const auto found = body.find("sequence-numbers"); found != body.end()) proton::get(found->second, numbers);
    return {numbers.begin(), numbers.end()};
}

proton::message cancel_request(std::span<const std::uint64_t> sequence_numbers)
{
    return request("com.microsoft:cancel-scheduled-message", {{"sequence-numbers", longs(sequence_numbers)}});
}

proton::message get_session_state_request(const std::string& session_id)
{
    return request("com.microsoft:get-session-state", {{"session-id", session_id}});
}

std::optional<std::string> session_state_in(const proton::message& answer)
{
    const Body body = body_of(answer);
    const auto found = body.find("session-state");
    if (found == body.end() || found->second.empty()) return std::nullopt;
    const auto bytes = proton::get<proton::binary>(found->second);
    return std::string{bytes.begin(), bytes.end()};
}

proton::message set_session_state_request(const std::string& session_id, const std::optional<std::string>& state)
{
    proton::value wire;
    if (state) wire = proton::binary{state->begin(), state->end()};
    return request("com.microsoft:set-session-state", {{"session-id", session_id}, {"session-state", wire}});
}

proton::message receive_deferred_request(std::span<const std::uint64_t> sequence_numbers, const std::string& session_id)
{
    constexpr std::uint32_t under_lock = 1; // the receiver's settle mode, as a link's
    Body body{{"sequence-numbers", longs(sequence_numbers)}, {"receiver-settle-mode", under_lock}};
    if (!session_id.empty()) body.emplace("session-id", session_id);
    return request("com.microsoft:receive-by-sequence-number", body);
}

std::vector<LockedMessage> locked_messages(const proton::message& answer)
{
    std::vector<LockedMessage> messages;
    for (const Body& entry : entries_of(answer)) {
        const auto wire = proton::get<proton::uuid>(entry.at("lock-token"));
        escqrs::Uuid token{};
        std::ranges::copy(wire, token.begin());
        messages.push_back({escqrs::to_string(token), message_in(entry)});
    }
    return messages;
}

proton::message settle_request(const escqrs::ReceivedMessage& message, const escqrs::Disposition& disposition)
{
    Body body{{"lock-tokens", lock_tokens(message.lock_token)}};
    if (!message.message.session_id.empty()) body.emplace("session-id", message.message.session_id);
    if (const auto* const abandon = std::get_if<escqrs::Abandon>(&disposition)) {
        body.emplace("disposition-status", "abandoned");
        const std::map<std::string, std::string> properties(abandon->properties.begin(), abandon->properties.end());
        if (!properties.empty()) body.emplace("properties-to-modify", properties);
    } else if (const auto* const dead_letter = std::get_if<escqrs::DeadLetter>(&disposition)) {
        body.emplace("disposition-status", "suspended");
        body.emplace("deadletter-reason", dead_letter->reason);
        body.emplace("deadletter-description", dead_letter->description);
    } else {
        body.emplace("disposition-status", "completed");
    }
    return request("com.microsoft:update-disposition", body);
}

} // namespace service_bus
