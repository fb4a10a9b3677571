// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "token_source.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace service_bus {

/// Puts a text into one line: control characters and Unicode's line ends become blanks. All text of others that reaches
/// an error or a log passes here, so that no one can forge a line of a log.
std::string one_line(std::string_view text);

/// What a server says, for an error or a log: one line of at most 300 bytes, in which `***` stands for each of
/// `secrets`, also where the server repeats it percent-encoded, once or twice, or in base64, alone or within a longer
/// text.
std::string shown(std::string_view text, std::span<const std::string> secrets = {});

/// The token, and the signature in it, without which it is worth nothing.
std::vector<std::string> secrets_of(const AccessToken& token);

} // namespace service_bus
