// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <arpa/inet.h>
#include <cstdint>
#include <netinet/in.h>
#include <random>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>

/// A port that no process has and that the kernel gives to none: others must not take it while its server is away.
inline std::uint16_t free_port()
{
    std::random_device random;
    std::uniform_int_distribution<int> below_ephemeral{20'000, 32'000};
    for (int attempt = 0; attempt < 1'000; ++attempt) {
        const int socket_end = socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(static_cast<std::uint16_t>(below_ephemeral(random)));
        auto* const plain = reinterpret_cast<sockaddr*>(&address); // NOLINT: the socket API
        const bool free = bind(socket_end, plain, sizeof address) == 0;
        close(socket_end);
        if (free) return ntohs(address.sin_port);
    }
    throw std::runtime_error{"no free port"};
}
