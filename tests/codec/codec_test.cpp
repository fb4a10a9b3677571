// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/account.hpp"

#include <escqrs/codec/archive/json.hpp>
#include <escqrs/codec/codec.hpp>
#include <escqrs/core/hex.hpp>
#include <escqrs/core/id_generator.hpp>
#include <escqrs/testing/catch2.hpp>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

using namespace escqrs;
using account::AccountOpened;
using account::MoneyDeposited;
using account::StatementSent;

namespace {

using Events = EventList<AccountOpened, MoneyDeposited>;
using BinaryCodec = Codec<Events, archive::Binary, archive::Json>;
using JsonCodec = Codec<Events, archive::Json>;

template <class AnyCodec, class E>
EncodedEvent encode(const AnyCodec& codec, const E& event, std::vector<std::byte>& bytes)
{
    codec.encode(event, bytes);
    return {event_name<E>(), schema_version<E>(), AnyCodec::content_type, bytes};
}

} // namespace

TEST_CASE("a name is distinguished from every other, however little they differ")
{
    const auto check = []<std::size_t Size>() {
        const std::string name(Size, 'n');
        CHECK(detail::is_text<Size>(name, name));
        CHECK_FALSE(detail::is_text<Size>(name + 'n', name));
        for (std::size_t at = 0; at < Size; ++at) {
            for (unsigned bit = 0; bit < 8; ++bit) {
                std::string other = name;
                other[at] = static_cast<char>(static_cast<unsigned char>(other[at]) ^ (1U << bit));
                CHECK_FALSE(detail::is_text<Size>(other, name));
            }
        }
    };
    [&]<std::size_t... Size>(std::index_sequence<Size...>) {
        (check.template operator()<Size>(), ...);
    }(std::make_index_sequence<34>{});
}

TEMPLATE_TEST_CASE("an event survives encoding and decoding", "", BinaryCodec, JsonCodec)
{
    const TestType codec;
    std::vector<std::byte> bytes;
    const MoneyDeposited event{-5, "a \"note\"\n"};
    const auto decoded = codec.decode(encode(codec, event, bytes));
    REQUIRE(decoded.size() == 1);
    CHECK(std::get<MoneyDeposited>(decoded[0]) == event);
}

TEST_CASE("a codec reads its other formats, told apart by content type")
{
    std::vector<std::byte> bytes;
    const auto json = encode(JsonCodec{}, AccountOpened{"Ada"}, bytes);
    CHECK(std::get<AccountOpened>(BinaryCodec{}.decode(json).at(0)).owner == "Ada");

    bytes.clear();
    const auto binary = encode(BinaryCodec{}, AccountOpened{"Ada"}, bytes);
    CHECK_THROWS_AS(JsonCodec{}.decode(binary), CodecError);
    CHECK_THROWS_WITH(JsonCodec{}.decode(binary), Catch::Contains("AccountOpened") && Catch::Contains("content type"));
}

TEST_CASE("an event of an unlisted type is refused by name")
{
    CHECK_FALSE(BinaryCodec::knows("StatementSent"));
    CHECK_THROWS_AS(BinaryCodec{}.decode({"StatementSent", 0, BinaryCodec::content_type, {}}), UnknownEventType);
    CHECK_THROWS_WITH(BinaryCodec{}.decode({"StatementSent", 0, BinaryCodec::content_type, {}}),
                      Catch::Contains("StatementSent"));
}

TEST_CASE("an older schema version is read, and what it lacks does not show the previous event's")
{
    const BinaryCodec codec;
    std::vector<std::byte> newer;
    std::vector<std::byte> older;
    archive::BinaryOutput output{older};
    MoneyDeposited event{7, ""};
    output.root(event, 0);

    BinaryCodec::Scratch scratch;
    std::vector<MoneyDeposited> seen;
    const auto remember = [&](const auto& decoded) {
        if constexpr (std::is_same_v<std::remove_cvref_t<decltype(decoded)>, MoneyDeposited>) seen.push_back(decoded);
    };
    codec.decode(encode(codec, MoneyDeposited{1, "stale"}, newer), scratch, remember);
    codec.decode({"MoneyDeposited", 0, BinaryCodec::content_type, older}, scratch, remember);
    REQUIRE(seen.size() == 2);
    CHECK(seen[0] == MoneyDeposited{1, "stale"});
    CHECK(seen[1] == MoneyDeposited{7, ""});
}

TEST_CASE("a newer schema version is refused with both versions in the text")
{
    const EncodedEvent newer{"MoneyDeposited", 2, BinaryCodec::content_type, {}};
    try {
        (void)BinaryCodec{}.decode(newer);
        FAIL("decoded");
    } catch (const NewerSchemaVersion& error) {
        CHECK(error.name() == "MoneyDeposited");
        CHECK(error.found() == 2);
        CHECK(error.known() == 1);
    }
    CHECK_THROWS_WITH(BinaryCodec{}.decode(newer), Catch::Contains("version 2") && Catch::Contains("up to 1"));
}

TEST_CASE("damaged bytes are refused with the event's name")
{
    std::vector<std::byte> bytes;
    auto event = encode(BinaryCodec{}, AccountOpened{"Ada"}, bytes);
    event.payload = event.payload.first(event.payload.size() - 1);
    CHECK_THROWS_AS(BinaryCodec{}.decode(event), CodecError);
    CHECK_THROWS_WITH(BinaryCodec{}.decode(event), Catch::Contains("AccountOpened"));
}

TEST_CASE("metadata is stored as documented")
{
    Metadata metadata;
    metadata.command_id = CommandId::parse("123e4567-e89b-12d3-a456-426614174000");
    metadata.actor = "ada";
    metadata.headers = {{"tenant", "north"}};
    std::vector<std::byte> bytes;
    encode_metadata(metadata, bytes);
    CHECK(to_hex(bytes) == "2c123e4567e89b12d3a45642661417400003616461010674656e616e74056e6f727468");
}

TEST_CASE("metadata survives, and empty metadata takes no bytes")
{
    std::vector<std::byte> bytes;
    encode_metadata({}, bytes);
    CHECK(bytes.empty());
    CHECK(decode_metadata(bytes) == Metadata{});

    Metadata metadata;
    metadata.command_id = CommandId{random_uuid()};
    metadata.actor = "ada";
    SECTION("some of it") {}
    SECTION("all of it")
    {
        metadata.correlation_id = CorrelationId{random_uuid()};
        metadata.causation_id = CausationId{random_uuid()};
        metadata.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        metadata.headers = {{"a", "1"}, {"b", ""}};
    }
    encode_metadata(metadata, bytes);
    CHECK(decode_metadata(bytes) == metadata);
    for (std::size_t length = 1; length < bytes.size(); ++length) {
        CHECK_THROWS_AS(decode_metadata(Bytes{bytes}.first(length)), CodecError);
    }
    bytes[0] = std::byte{0xC0};
    CHECK_THROWS_AS(decode_metadata(bytes), CodecError);
}
