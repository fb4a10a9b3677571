// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// encode/ and decode/   one event with a 16-byte id and two strings, by this library's formats and by others; `bytes` is its size
#include "support/attendee.hpp"
#include "support/by_hand.hpp"
#include "support/repeat.hpp"

#include <escqrs/codec/archive/boost.hpp>
#include <escqrs/codec/archive/json.hpp>
#include <escqrs/codec/codec.hpp>

#include <boost/archive/binary_iarchive.hpp>
#include <boost/archive/binary_oarchive.hpp>
#include <boost/archive/text_iarchive.hpp>
#include <boost/archive/text_oarchive.hpp>
#include <boost/uuid/uuid_io.hpp>
#include <boost/uuid/uuid_serialize.hpp>

#include <cereal/archives/binary.hpp>
#include <cereal/types/string.hpp>

#include <nlohmann/json.hpp>

#if __has_include(<zpp_bits.h>)
#include <zpp_bits.h>
#endif

#include <sstream>
#include <string>

namespace {

using namespace benchmarks;

const Registered& event()
{
    static const Registered registered{{1, 2, 3, 4, 5, 6, 7, 8}, "Ada Lovelace, Countess", "ada.lovelace@example.org"};
    return registered;
}

/// Measures `encode(event, out)`, which replaces what `out` holds, and `decode(out, event)`, which replaces the event.
template <class Buffer, class Encode, class Decode>
void add(const std::string& name, Encode encode, Decode decode)
{
    benchmark::RegisterBenchmark(("encode/" + name).c_str(), [=](benchmark::State& state) {
        Buffer out;
        repeat(state, [&] {
            encode(event(), out);
            benchmark::DoNotOptimize(out.data());
            benchmark::ClobberMemory();
        });
        state.counters["bytes"] = static_cast<double>(out.size());
    });
    benchmark::RegisterBenchmark(("decode/" + name).c_str(), [=](benchmark::State& state) {
        Buffer bytes;
        encode(event(), bytes);
        repeat(state, [&] {
            Registered decoded;
            decode(bytes, decoded);
            benchmark::DoNotOptimize(&decoded);
            benchmark::ClobberMemory();
        });
        Registered decoded;
        decode(bytes, decoded);
        if (decoded.conference != event().conference || decoded.name != event().name || decoded.email != event().email)
            state.SkipWithError("another event was decoded");
    });
}

using Bytes = std::vector<std::byte>;

template <class Format>
void add_format(const std::string& name)
{
    using Codec = escqrs::Codec<Attendee::EventTypes, Format>;
    add<Bytes>(
        name,
        [](const Registered& registered, Bytes& out) {
            out.clear();
            Codec{}.encode(registered, out);
        },
        [](const Bytes& bytes, Registered& registered) {
            typename Format::Input input{bytes};
            input.root(registered, 0);
            input.finish();
        });
}

template <class Output, class Input>
void add_stream_archive(const std::string& name)
{
    add<std::string>(
        name,
        [](const Registered& registered, std::string& out) {
            std::ostringstream stream;
            {
                Output archive{stream};
                archive << registered;
            }
            out = stream.str();
        },
        [](const std::string& bytes, Registered& registered) {
            std::istringstream stream{bytes};
            Input archive{stream};
            archive >> registered;
        });
}

void add_cereal()
{
    const auto write = [](auto& archive, auto& registered) {
        archive(cereal::binary_data(registered.conference.data, 16), registered.name, registered.email);
    };
    add<std::string>(
        "cereal",
        [=](const Registered& registered, std::string& out) {
            std::ostringstream stream;
            cereal::BinaryOutputArchive archive{stream};
            write(archive, registered);
            out = stream.str();
        },
        [=](const std::string& bytes, Registered& registered) {
            std::istringstream stream{bytes};
            cereal::BinaryInputArchive archive{stream};
            write(archive, registered);
        });
}

void add_nlohmann()
{
    add<std::string>(
        "nlohmann_json",
        [](const Registered& registered, std::string& out) {
            out = nlohmann::json{{"conference", escqrs::to_string(registered.conference)},
                                 {"name", registered.name},
                                 {"email", registered.email}}
                      .dump();
        },
        [](const std::string& bytes, Registered& registered) {
            const auto json = nlohmann::json::parse(bytes);
            registered.conference = escqrs::parse_uuid(json.at("conference").get_ref<const std::string&>());
            registered.name = json.at("name").get<std::string>();
            registered.email = json.at("email").get<std::string>();
        });
}

#if __has_include(<zpp_bits.h>)
void add_zpp_bits()
{
    add<Bytes>(
        "zpp_bits",
        [](const Registered& registered, Bytes& out) {
            out.clear();
            zpp::bits::out archive{out};
            archive(std::span<const std::uint8_t, 16>{registered.conference.data}, registered.name, registered.email)
                .or_throw();
            out.resize(archive.position());
        },
        [](const Bytes& bytes, Registered& registered) {
            zpp::bits::in archive{bytes};
            archive(std::span<std::uint8_t, 16>{registered.conference.data}, registered.name, registered.email)
                .or_throw();
        });
}
#endif

} // namespace

int main(int argc, char** argv)
{
    add<Bytes>(
        "by_hand",
        [](const Registered& registered, Bytes& out) {
            out.clear();
            by_hand::encode(registered, out);
        },
        [](const Bytes& bytes, Registered& registered) { by_hand::decode(by_hand::Reader{bytes}, registered); });
    add_format<escqrs::archive::Binary>("escqrs");
    add_format<escqrs::archive::Json>("escqrs_json");
    add_stream_archive<boost::archive::binary_oarchive, boost::archive::binary_iarchive>("boost_binary");
    add_stream_archive<boost::archive::text_oarchive, boost::archive::text_iarchive>("boost_text");
    add_cereal();
    add_nlohmann();
#if __has_include(<zpp_bits.h>)
    add_zpp_bits();
#endif
    benchmark::Initialize(&argc, argv);
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
