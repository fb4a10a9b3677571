// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// hold_messages <connection string> <sessions: yes|no> <count>
// Receives that many messages, prints the id of each, and keeps their locks until it is killed.
#include <service_bus/message_queue.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <iostream>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

int main(int count, char** arguments)
try {
    const std::vector<std::string> words(arguments, arguments + count);
    if (words.size() != 4) throw std::invalid_argument{"hold_messages <connection string> <yes|no> <count>"};
    service_bus::QueueSettings settings;
    settings.connection.broker = service_bus::parse_broker(words[1]);
    settings.receiver.sessions = words[2] == "yes";
    settings.use = service_bus::QueueUse::receive;
    service_bus::MessageQueue queue{settings};
    for (std::size_t wanted = std::stoul(words[3]); wanted > 0;) {
        const auto batch = queue.receive(wanted, std::chrono::seconds{10}, {});
        if (batch.empty()) throw std::runtime_error{"no more messages"};
        for (const auto& message : batch) std::cout << message.message.message_id << '\n';
        wanted -= batch.size();
    }
    std::cout << "holding" << std::endl;
    while (true) pause();
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
}
