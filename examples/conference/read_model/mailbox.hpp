// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <string>
#include <string_view>

namespace conference {

/// What stands for all the spellings of an address that reach one mailbox somewhere: in small letters, and without dots and
/// what follows a '+' before the '@'. Only for counting: mails go to the address as it was typed.
std::string mailbox_of(std::string_view address);

} // namespace conference
