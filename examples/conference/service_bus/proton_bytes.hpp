// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <proton/types.h>

#include <string_view>

namespace service_bus {

/// The text as Proton takes it. Refers to `text`.
inline pn_bytes_t proton_bytes(std::string_view text) { return pn_bytes(text.size(), text.data()); }

} // namespace service_bus
