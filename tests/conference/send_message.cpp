// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// Puts a message of any content on the conference's queue: send_message QUEUE_FILE MESSAGE_ID BODY
#include <escqrs/sqlite/message_queue.hpp>

#include <cstdio>
#include <exception>

int main(int argc, char** argv)
{
    if (argc != 4) return 2;
    try {
        escqrs::Message message;
        message.message_id = argv[2];
        message.session_id = "poison";
        message.subject = "poison";
        message.body = argv[3];
        escqrs::sqlite::MessageQueue queue{argv[1]};
        queue.send({&message, 1});
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
