// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <service_bus/message_codec.hpp>
#include <service_bus/resubmission.hpp>

#include <escqrs/core/error.hpp>
#include <escqrs/testing/catch2.hpp>

#include <proton/annotation_key.hpp>
#include <proton/binary.hpp>
#include <proton/duration.hpp>
#include <proton/message.hpp>
#include <proton/message_id.hpp>
#include <proton/symbol.hpp>
#include <proton/timestamp.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace {

using namespace service_bus;

proton::annotation_key annotation(const char* name) { return proton::annotation_key{proton::symbol{name}}; }

proton::message dead_letter()
{
    proton::message wire;
    wire.id("own");
    wire.to("somewhere");
    wire.reply_to("back");
    wire.reply_to_group_id("back-session");
    wire.group_id("session");
    wire.subject("subject");
    wire.ttl(proton::duration{90'000});
    wire.expiry_time(proton::timestamp{5});
    wire.delivery_count(9);
    wire.body(proton::binary{'b', 'o', 'd', 'y'});
    wire.inferred(true);
    wire.message_annotations().put(annotation("x-opt-partition-key"), std::string{"partition"});
    wire.message_annotations().put(annotation("x-opt-sequence-number"), std::int64_t{77});
    wire.message_annotations().put(annotation("x-opt-deadletter-source"), std::string{"queue"});
    wire.properties().put("number", std::int32_t{5});
    wire.properties().put("moment", proton::timestamp{1000});
    wire.properties().put("flag", true);
    wire.properties().put("DeadLetterReason", std::string{"why"});
    wire.properties().put("DeadLetterErrorDescription", std::string{"because"});
    return wire;
}

proton::message resubmission_of(const proton::message& dead, const std::string& wire_message_id)
{
    std::vector<char> bytes;
    dead.encode(bytes);
    proton::message wire;
    wire.decode(encode_resubmission(bytes, wire_message_id));
    return wire;
}

} // namespace

TEST_CASE("a dead letter is sent anew with all that its sender gave it, and nothing that the broker did")
{
    const proton::message wire = resubmission_of(dead_letter(), "resubmitted-77");
    CHECK(proton::to_string(wire.id()) == "resubmitted-77");
    CHECK(wire.to() == "somewhere");
    CHECK(wire.reply_to() == "back");
    CHECK(wire.reply_to_group_id() == "back-session");
    CHECK(wire.group_id() == "session");
    CHECK(wire.ttl().milliseconds() == 90'000);
    CHECK(wire.expiry_time().milliseconds() == 0);
    CHECK(wire.delivery_count() == 0);
    CHECK(wire.durable());
    CHECK(proton::get<proton::binary>(wire.body()) == proton::binary{'b', 'o', 'd', 'y'});
    CHECK(wire.message_annotations().size() == 1);
    CHECK(wire.message_annotations().exists(annotation("x-opt-partition-key")));
    CHECK(wire.properties().size() == 4);
    CHECK(wire.properties().get("number") == proton::scalar{std::int32_t{5}});
    CHECK(wire.properties().get("moment") == proton::scalar{proton::timestamp{1000}});
    CHECK(wire.properties().get("flag") == proton::scalar{true});
    CHECK(wire.properties().get(original_message_id) == proton::scalar{std::string{"own"}});
}

TEST_CASE("one that dies again keeps the id it had at first")
{
    const proton::message again = resubmission_of(resubmission_of(dead_letter(), "resubmitted-77"), "resubmitted-80");
    CHECK(proton::to_string(again.id()) == "resubmitted-80");
    CHECK(again.properties().size() == 4);
    CHECK(again.properties().get(original_message_id) == proton::scalar{std::string{"own"}});
}

TEST_CASE("bodies come through whole, and bytes that are no message are refused")
{
    proton::message text;
    text.id("m");
    text.body(std::string{"text"});
    CHECK(proton::get<std::string>(resubmission_of(text, "r").body()) == "text");
    std::vector<char> bytes;
    dead_letter().encode(bytes);
    const std::string more{"\0\x53\x75\xA0\x01+", 6};
    bytes.insert(bytes.end(), more.begin(), more.end());
    proton::message wire;
    wire.decode(encode_resubmission(bytes, "r"));
    CHECK(proton::get<proton::binary>(wire.body()) == proton::binary{'b', 'o', 'd', 'y', '+'});
    CHECK_THROWS_AS(encode_resubmission({'n', 'o'}, "r"), escqrs::TransportError);
}
