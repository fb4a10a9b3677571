// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// my_program <connection string>: sends a message to the queue, and receives and completes it.
#include <service_bus/message_queue.hpp>

#include <chrono>
#include <exception>
#include <iostream>
#include <span>
#include <stdexcept>
#include <string>

int main(int count, char** arguments)
try {
    if (count != 2) throw std::invalid_argument{"usage: my_program <connection string>"};
    const std::string connection_string = arguments[1];
    service_bus::QueueSettings settings;
    settings.connection.broker = service_bus::parse_broker(connection_string);
    service_bus::MessageQueue queue{settings};

    escqrs::Message message;
    message.message_id = "greeting-1";
    message.session_id = "greetings";
    message.body = "hello";
    queue.send(std::span{&message, 1});
    const auto received = queue.receive(1, std::chrono::seconds{10}, {});
    if (received.size() != 1 || received[0].message.body != message.body)
        throw std::runtime_error{"expected the message that was sent, found " + std::to_string(received.size())};
    queue.settle(received[0], escqrs::Complete{});
    std::cout << "received " << received[0].message.message_id << '\n';
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
}
