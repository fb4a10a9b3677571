// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "fake_resolver.hpp"

#include <chrono>
#include <condition_variable>
#include <dlfcn.h>
#include <mutex>
#include <netdb.h>
#include <string_view>

namespace {

struct Lookups {
    std::mutex mutex;
    std::condition_variable changed;
    bool is_hanging = false;
    std::size_t begun = 0;
    std::size_t returned = 0;
};

Lookups& lookups()
{
    static Lookups state;
    return state;
}

void hang()
{
    constexpr std::chrono::seconds longest{5};
    auto& state = lookups();
    std::unique_lock lock{state.mutex};
    ++state.begun;
    state.changed.notify_all();
    state.changed.wait_for(lock, longest, [&] { return !state.is_hanging; });
    ++state.returned;
    state.changed.notify_all();
}

} // namespace

/// Stands before the C library's, also for the libraries that the program is linked to.
// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): the C library's begin with underscores
extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** result)
{
    using Function = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
    static const auto original = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "getaddrinfo")); // NOLINT: as dlsym has it
    const std::string_view name = node == nullptr ? "" : node;
    if (name == HangingResolver::name) {
        hang();
        return EAI_AGAIN;
    }
    return original(name.ends_with(".here.test") ? "127.0.0.1" : node, service, hints, result);
}

HangingResolver::HangingResolver()
{
    auto& state = lookups();
    const std::scoped_lock lock{state.mutex};
    state.is_hanging = true;
    state.begun = state.returned = 0;
}

HangingResolver::~HangingResolver()
{
    auto& state = lookups();
    std::unique_lock lock{state.mutex};
    state.is_hanging = false;
    state.changed.notify_all();
    state.changed.wait(lock, [&] { return state.returned == state.begun; });
}

// NOLINTBEGIN(readability-convert-member-functions-to-static): they make sense while it lives
void HangingResolver::wait_for_lookups(std::size_t count) const
{
    auto& state = lookups();
    std::unique_lock lock{state.mutex};
    state.changed.wait(lock, [&] { return state.begun >= count; });
}

bool HangingResolver::all_hang() const
{
    auto& state = lookups();
    const std::scoped_lock lock{state.mutex};
    return state.returned == 0;
}
// NOLINTEND(readability-convert-member-functions-to-static)
