// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/messaging/message_queue.hpp>

#include <proton/types.h>

#include <cstdint>
#include <string>

namespace service_bus {

/// What is asked of the broker for a delivery. The first three are `escqrs::Disposition`'s.
enum class Outcome : std::uint8_t {
    complete,
    abandon,
    dead_letter,
    defer,   ///< set apart, to be asked for by its sequence number
    release, ///< given back as if it had never been delivered
};

Outcome outcome_of(const escqrs::Disposition& disposition) noexcept;

/// Writes `outcome` as the state of a delivery, unsettled; the broker answers with the state that it has given it.
///
/// In AMQP's terms: complete is `accepted`, abandon `modified`, defer `modified` with undeliverable-here, dead-letter
/// `rejected` with the condition `com.microsoft:dead-letter`, and release `released`. See "Receive messages" in
/// https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-protocol-guide
/// @param disposition  with the properties to add, or with reason and description
/// @param now  noted on a dead letter
void ask_for(pn_delivery_t* delivery, const escqrs::Disposition& disposition, escqrs::Timestamp now);
void ask_for_release(pn_delivery_t* delivery);
void ask_for_deferral(pn_delivery_t* delivery);

/// What the broker answers to what it was asked.
enum class Answer : std::uint8_t { done, lock_lost, refused };

Answer answer_to(Outcome asked, pn_delivery_t* delivery);

} // namespace service_bus
