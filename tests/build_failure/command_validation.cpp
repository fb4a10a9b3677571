// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: a validation is called with (const Command&) and throws, or returns the problems as std::vector<std::string>
#include <escqrs/commands/middleware/validation.hpp>

#include <string>
#include <vector>

struct OpenDoor {
    using Result = void;
};

int main()
{
#ifdef OFFENDING
    const auto validate = [](const OpenDoor&) { return true; };
#else
    const auto validate = [](const OpenDoor&) { return std::vector<std::string>{}; };
#endif
    return escqrs::validation<OpenDoor>(validate) ? 0 : 1;
}
