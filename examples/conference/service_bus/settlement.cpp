// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "settlement.hpp"

#include "proton_bytes.hpp"

#include <escqrs/core/timestamp.hpp>
#include <escqrs/messaging/message_queue_rules.hpp>

#include <proton/codec.h>
#include <proton/condition.h>
#include <proton/delivery.h>
#include <proton/disposition.h>

#include <string_view>
#include <variant>

namespace service_bus {
namespace {

constexpr const char* dead_letter_condition = "com.microsoft:dead-letter";

void put_entry(pn_data_t* map, std::string_view name, std::string_view value)
{
    pn_data_put_symbol(map, proton_bytes(name));
    pn_data_put_string(map, proton_bytes(value));
}

void write_abandon(pn_delivery_t* delivery, const escqrs::Abandon& abandon)
{
    pn_disposition_t* const local = pn_delivery_local(delivery);
    pn_disposition_set_failed(local, true);
    if (!abandon.properties.empty()) {
        pn_data_t* const annotations = pn_disposition_annotations(local);
        pn_data_put_map(annotations);
        pn_data_enter(annotations);
        for (const auto& [name, value] : abandon.properties) put_entry(annotations, name, value);
        pn_data_exit(annotations);
    }
    pn_delivery_update(delivery, PN_MODIFIED);
}

void write_dead_letter(pn_delivery_t* delivery, const escqrs::DeadLetter& dead_letter, escqrs::Timestamp now)
{
    pn_condition_t* const condition = pn_disposition_condition(pn_delivery_local(delivery));
    pn_condition_set_name(condition, dead_letter_condition);
    pn_data_t* const info = pn_condition_info(condition);
    pn_data_put_map(info);
    pn_data_enter(info);
    put_entry(info, "DeadLetterReason", escqrs::message_queue_rules::dead_letter_text(dead_letter.reason));
    put_entry(info, "DeadLetterErrorDescription",
              escqrs::message_queue_rules::dead_letter_text(dead_letter.description));
    put_entry(info, "DeadLetteredAt", escqrs::to_rfc3339(now));
    pn_data_exit(info);
    pn_delivery_update(delivery, PN_REJECTED);
}

} // namespace

Outcome outcome_of(const escqrs::Disposition& disposition) noexcept
{
    if (std::holds_alternative<escqrs::Complete>(disposition)) return Outcome::complete;
    return std::holds_alternative<escqrs::Abandon>(disposition) ? Outcome::abandon : Outcome::dead_letter;
}

void ask_for(pn_delivery_t* delivery, const escqrs::Disposition& disposition, escqrs::Timestamp now)
{
    if (const auto* const abandon = std::get_if<escqrs::Abandon>(&disposition)) {
        write_abandon(delivery, *abandon);
    } else if (const auto* const dead_letter = std::get_if<escqrs::DeadLetter>(&disposition)) {
        write_dead_letter(delivery, *dead_letter, now);
    } else {
        pn_delivery_update(delivery, PN_ACCEPTED);
    }
}

void ask_for_release(pn_delivery_t* delivery) { pn_delivery_update(delivery, PN_RELEASED); }

void ask_for_deferral(pn_delivery_t* delivery)
{
    pn_disposition_set_undeliverable(pn_delivery_local(delivery), true);
    pn_delivery_update(delivery, PN_MODIFIED);
}

Answer answer_to(Outcome asked, pn_delivery_t* delivery)
{
    const std::uint64_t state = pn_delivery_remote_state(delivery);
    const char* const name = pn_condition_get_name(pn_disposition_condition(pn_delivery_remote(delivery)));
    const std::string_view condition = name != nullptr ? name : "";
    if (state == PN_REJECTED &&
        (condition == "com.microsoft:message-lock-lost" || condition == "com.microsoft:session-lock-lost"))
        return Answer::lock_lost;
    if (asked == Outcome::dead_letter && state == PN_REJECTED && !condition.empty() &&
        condition != dead_letter_condition)
        return Answer::refused;
    const std::uint64_t expected = asked == Outcome::complete      ? PN_ACCEPTED
                                   : asked == Outcome::dead_letter ? PN_REJECTED
                                   : asked == Outcome::release     ? PN_RELEASED
                                                                   : PN_MODIFIED;
    return state == expected || state == 0 ? Answer::done : Answer::refused; // settled without a state: as it was asked
}

} // namespace service_bus
