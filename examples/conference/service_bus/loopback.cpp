// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "loopback.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cctype>
#include <optional>
#include <string>
#include <sys/socket.h>
#include <utility>

namespace service_bus {
namespace {

using V4 = std::array<unsigned char, 4>;

/// `host` as an IPv4 address, which may stand in an IPv6 one.
std::optional<V4> v4_address(const std::string& host)
{
    V4 address{};
    if (inet_pton(AF_INET, host.c_str(), address.data()) == 1) return address;
    constexpr std::array<unsigned char, 12> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF}; // ::ffff:0:0
    std::array<unsigned char, 16> v6{};
    if (inet_pton(AF_INET6, host.c_str(), v6.data()) != 1) return std::nullopt;
    if (!std::equal(mapped.begin(), mapped.end(), v6.begin())) return std::nullopt;
    std::copy(v6.end() - 4, v6.end(), address.begin());
    return address;
}

bool is_v6_loopback(const std::string& host)
{
    constexpr std::array<unsigned char, 16> loopback{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    std::array<unsigned char, 16> address{};
    return inet_pton(AF_INET6, host.c_str(), address.data()) == 1 && address == loopback;
}

std::string without_brackets(std::string_view host)
{
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    return std::string{host};
}

} // namespace

bool is_loopback(std::string_view host)
{
    constexpr std::string_view name = "localhost";
    const std::string address = without_brackets(host);
    if (const auto v4 = v4_address(address)) return v4->front() == 127;
    return is_v6_loopback(address) ||
           std::ranges::equal(address, name, [](unsigned char a, unsigned char b) { return std::tolower(a) == b; });
}

bool is_link_local(std::string_view host)
{
    const auto v4 = v4_address(without_brackets(host));
    return v4 && (*v4)[0] == 169 && (*v4)[1] == 254;
}

bool is_private_network(std::string_view host)
{
    const auto v4 = v4_address(without_brackets(host));
    if (!v4) return false;
    const auto [first, second] = std::pair{(*v4)[0], (*v4)[1]};
    return first == 10 || (first == 172 && second / 16 == 1) || (first == 192 && second == 168) ||
           (first == 100 && second / 64 == 1);
}

} // namespace service_bus
