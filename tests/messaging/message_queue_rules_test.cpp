// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/core/error.hpp>
#include <escqrs/messaging/message_queue_rules.hpp>
#include <escqrs/testing/catch2.hpp>

#include <string>
#include <vector>

namespace rules = escqrs::message_queue_rules;

TEST_CASE("the texts of a dead letter are cut between two UTF-8 characters")
{
    const std::string longest(rules::max_dead_letter_text_length, 'x');
    CHECK(rules::dead_letter_text(longest) == longest);
    CHECK(rules::dead_letter_text(longest + "x") == longest);
    const std::string room_for_one_byte(rules::max_dead_letter_text_length - 1, 'x');
    CHECK(rules::dead_letter_text(room_for_one_byte + "\u00e9") == room_for_one_byte);
}

TEST_CASE("a queue refuses the first message that breaks a rule, by name")
{
    std::vector<escqrs::Message> messages(2);
    messages[0].message_id = "good";
    messages[1].message_id = "bad";
    CHECK_NOTHROW(rules::check_messages(messages, {}));
    messages[1].session_id = std::string(rules::max_session_id_length + 1, 's');
    CHECK_THROWS_WITH(rules::check_messages(messages, {}),
                      "message 'bad' refused: session_id has 129 bytes, at most 128");
}

TEST_CASE("abandoning may not make a message larger than the queue takes")
{
    escqrs::ReceivedMessage received;
    received.message.message_id = "m";
    received.message.body = "1234";
    received.message.properties.set("try", "1");
    escqrs::MessageQueueOptions options;
    options.max_message_size = 8;
    CHECK_NOTHROW(
        rules::check_disposition(received, escqrs::Abandon{{{"try", "2"}}}, options)); // in the place of the first
    CHECK_THROWS_AS(rules::check_disposition(received, escqrs::Abandon{{{"why", "2"}}}, options),
                    escqrs::MessageRefused);
    CHECK_NOTHROW(rules::check_disposition(received, escqrs::Complete{}, options));
}
