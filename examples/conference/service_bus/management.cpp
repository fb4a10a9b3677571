// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "management.hpp"

#include "wire_time.hpp"

#include <escqrs/identifiers.hpp>

#include <proton/binary.hpp>
#include <proton/codec/encoder.hpp>
#include <proton/codec/map.hpp>
#include <proton/codec/vector.hpp>
#include <proton/timestamp.hpp>
#include <proton/types.hpp>
#include <proton/uuid.hpp>

#include <algorithm>
#include <map>

namespace conference::service_bus {
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

escqrs::Timestamp to_time(proton::timestamp moment) { return from_amqp_timestamp(moment.milliseconds()); }

} // namespace

proton::message renew_lock_request(const std::string& lock_token)
{
    const escqrs::Uuid token = escqrs::parse_uuid(lock_token);
    proton::uuid wire;
    std::ranges::copy(token, wire.begin());
    const std::vector wires{wire};
    proton::value tokens;
    proton::codec::encoder{tokens} << proton::codec::encoder::array(wires, proton::UUID);
    return request("com.microsoft:renew-lock", {{"lock-tokens", tokens}});
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

std::vector<std::vector<char>> peeked_messages(const proton::message& answer)
{
    std::vector<std::vector<char>> messages;
    if (answer.body().empty()) return messages; // none: status 204
    const Body body = body_of(answer);
    const auto found = body.find("messages");
    if (found == body.end()) return messages;
    std::vector<proton::value> entries;
    proton::get(found->second, entries);
    for (const proton::value& entry : entries) {
        std::map<std::string, proton::value> parts;
        proton::get(entry, parts);
        const auto bytes = proton::get<proton::binary>(parts.at("message"));
        messages.emplace_back(bytes.begin(), bytes.end());
    }
    return messages;
}

proton::message get_session_state_request(const std::string& session_id)
{
    return request("com.microsoft:get-session-state", {{"session-id", session_id}});
}

std::optional<std::string> session_state(const proton::message& answer)
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

} // namespace conference::service_bus
