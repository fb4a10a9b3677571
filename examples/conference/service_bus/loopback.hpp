// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <string_view>

namespace service_bus {

/// Whether `host` is this machine: `localhost`, an address of 127.0.0.0/8 or `::1`, with or without brackets. No other name is
/// looked up, because the answer could change.
bool is_loopback(std::string_view host);

/// Whether `host` is an address of 169.254.0.0/16, which no router passes on. Azure's token services for one machine have such.
bool is_link_local(std::string_view host);

/// Whether `host` is an address of a private network: of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16 (RFC 1918), or of
/// 100.64.0.0/10 (RFC 6598).
bool is_private_network(std::string_view host);

} // namespace service_bus
