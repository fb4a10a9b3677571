// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "resubmission.hpp"

#include "data_sections.hpp"
#include "message_codec.hpp"
#include "proton_bytes.hpp"

#include <escqrs/core/error.hpp>

#include <proton/codec.h>
#include <proton/error.h>
#include <proton/message.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>
#include <utility>

namespace service_bus {
namespace {

struct WireMessageDeleter {
    void operator()(pn_message_t* message) const noexcept { pn_message_free(message); }
};
struct WireDataDeleter {
    void operator()(pn_data_t* data) const noexcept { pn_data_free(data); }
};

constexpr std::array<std::string_view, 4> of_dead_lettering{"DeadLetterReason", "DeadLetterErrorDescription",
                                                            "DeadLetteredAt", original_message_id};
/// Of the annotations, these are the sender's; the others are the broker's.
constexpr std::array<std::string_view, 2> of_sender{"x-opt-partition-key", "x-opt-via-partition-key"};

std::string_view view_of(pn_bytes_t bytes) { return {bytes.start, bytes.size}; }

/// Keeps the entries of a map whose names are wanted, with the types of their values, which are scalars; adds one more.
template <class Wanted>
void filter_entries(pn_data_t* map, Wanted is_wanted, std::string_view added_name = {}, std::string_view added = {})
{
    const std::unique_ptr<pn_data_t, WireDataDeleter> kept{pn_data(0)};
    pn_data_t* const from = map;
    pn_data_t* const to = kept.get();
    pn_data_put_map(to);
    pn_data_enter(to);
    pn_data_rewind(from);
    if (pn_data_next(from) && pn_data_type(from) == PN_MAP) {
        pn_data_enter(from);
        while (pn_data_next(from)) {
            const pn_atom_t name = pn_data_get_atom(from);
            if (!pn_data_next(from)) break;
            const bool is_text = name.type == PN_STRING || name.type == PN_SYMBOL;
            if (!is_text || !is_wanted(view_of(name.u.as_bytes))) continue;
            pn_data_put_atom(to, name);
            pn_data_put_atom(to, pn_data_get_atom(from));
        }
    }
    if (!added_name.empty()) {
        pn_data_put_string(to, proton_bytes(added_name));
        pn_data_put_string(to, proton_bytes(added));
    }
    pn_data_exit(to);
    pn_data_copy(map, to);
}

pn_atom_t text_atom_of(std::string_view text)
{
    pn_atom_t atom{};
    atom.type = PN_STRING;
    atom.u.as_bytes = proton_bytes(text);
    return atom;
}

} // namespace

std::vector<char> encode_resubmission(const std::vector<char>& dead_letter, const std::string& wire_message_id)
{
    const std::string own_id = decode_message(dead_letter, {}).received.message.message_id;
    const std::unique_ptr<pn_message_t, WireMessageDeleter> message{pn_message()};
    if (pn_message_decode(message.get(), dead_letter.data(), dead_letter.size()) != 0)
        throw escqrs::TransportError{"not an AMQP message"};

    pn_message_set_durable(message.get(), true);
    pn_message_set_first_acquirer(message.get(), true);
    pn_message_set_delivery_count(message.get(), 0);
    pn_message_set_expiry_time(message.get(), 0); // that of its first sending; the time to live holds anew
    pn_message_set_creation_time(message.get(), 0);
    pn_message_set_id(message.get(), text_atom_of(wire_message_id));
    pn_data_clear(pn_message_instructions(message.get()));

    const auto is_one_of = [](const auto& names) {
        return [&names](std::string_view name) { return std::ranges::find(names, name) != names.end(); };
    };
    filter_entries(pn_message_annotations(message.get()), is_one_of(of_sender));
    const auto is_of_dead_lettering = is_one_of(of_dead_lettering);
    filter_entries(
        pn_message_properties(message.get()), [&](std::string_view name) { return !is_of_dead_lettering(name); },
        original_message_id, own_id);

    if (const auto sections = data_sections({dead_letter.data(), dead_letter.size()}); !sections.empty()) {
        std::string body;
        for (const std::string_view section : sections) body += section;
        pn_message_set_inferred(message.get(), true); // bytes become a data section
        pn_data_clear(pn_message_body(message.get()));
        pn_data_put_binary(pn_message_body(message.get()), proton_bytes(body));
    }
    if (auto bytes = encode_wire(message.get(), dead_letter.size())) return *std::move(bytes);
    throw escqrs::TransportError{"Proton cannot encode message '" + own_id + "'"};
}

} // namespace service_bus
