// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <string_view>
#include <vector>

namespace service_bus {

/// What the Data sections of an encoded message hold, in their order. Proton shows the last one only, but the body is all of
/// them together (AMQP 1.0, 3.2.6). Reads as far as the bytes are well-formed.
/// @return views of `bytes`
std::vector<std::string_view> data_sections(std::string_view bytes);

} // namespace service_bus
